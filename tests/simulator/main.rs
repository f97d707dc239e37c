//! The simulated platform keeps its own promises: what the other tests build on.
#![cfg(feature = "simulator")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails it by a panic")]

mod faults;

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;
use vaguemestre::clock::SetClock;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::{Issued, Standing};
use vaguemestre::simulator::{Call, Fault, Framing, Keys, Matcher, Platform, Times, samples};

const SIREN: &str = "213400172";
const PATIENCE: Duration = Duration::from_secs(60);

struct House {
    keys: Keys,
    platform: Platform,
    client: Client,
}

async fn house() -> House {
    let keys = Keys::generate().unwrap();
    let platform = Platform::start(&keys).await.unwrap();
    platform.open(SIREN);
    let client = client(&keys, Some(&keys.client("Mairie", Standing::Valid).unwrap()));
    House { keys, platform, client }
}

fn client(keys: &Keys, identity: Option<&Issued>) -> Client {
    let mut roots = RootCertStore::empty();
    roots.add(keys.authority().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match identity {
        Some(issued) => builder.with_client_auth_cert(issued.chain(), issued.key()).unwrap(),
        None => builder.with_no_client_auth(),
    };
    Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .no_proxy()
        .build()
        .unwrap()
}

/// What a client saw: status and body, or where it failed.
#[derive(Debug, PartialEq)]
enum Seen {
    Whole(u16, Vec<u8>),
    NoAnswer,
    BrokenBody(u16),
    Reset,
    Silence,
}

fn is_reset(error: &(dyn std::error::Error + 'static)) -> bool {
    let reset = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionReset;
    error.downcast_ref().is_some_and(reset) || error.source().is_some_and(is_reset)
}

impl House {
    fn url(&self, subject: &str, kind: &str, call: &str) -> String {
        format!("{}/parapheur-ws/rest/v1/documents/v2/{subject}/{kind}/{call}", self.platform.base_url())
    }

    async fn list(&self) -> String {
        let url = self.url(SIREN, "ack", "remaining");
        self.client.get(url).send().await.unwrap().text().await.unwrap()
    }

    async fn download(&self, id: &str) -> Seen {
        self.see(self.url(id, "ack", "download"), PATIENCE).await
    }

    async fn see(&self, url: String, patience: Duration) -> Seen {
        let work = async {
            let answer = match self.client.get(url).send().await {
                Ok(answer) => answer,
                Err(error) => return if is_reset(&error) { Seen::Reset } else { Seen::NoAnswer },
            };
            let status = answer.status().as_u16();
            match answer.bytes().await {
                Ok(body) => Seen::Whole(status, body.to_vec()),
                Err(error) if is_reset(&error) => Seen::Reset,
                Err(_) => Seen::BrokenBody(status),
            }
        };
        timeout(patience, work).await.unwrap_or(Seen::Silence)
    }

    /// Puts document `1`, sets a fault on it, and tells what its download looks like.
    async fn with_fault(&self, fault: Fault) -> Seen {
        self.platform.put(SIREN, Kind::Acquittements, 1, document());
        self.platform.set_fault(Matcher::download(1), fault, Times::Once);
        self.download("1").await
    }

    fn waits(&self) -> bool {
        !self.platform.remaining(SIREN, Kind::Acquittements).is_empty()
    }
}

fn document() -> Vec<u8> {
    samples::acquittement(1, "PES_1.xml", samples::Verdict::Accepted, 60_000)
}

#[tokio::test]
async fn a_document_is_listed_until_it_has_been_collected() {
    let house = house().await;
    house.platform.put(SIREN, Kind::Acquittements, 320_073_963, document());
    house.platform.put(SIREN, Kind::Acquittements, "abc", &b"<a/>"[..]);
    house.platform.put(SIREN, Kind::Chorus, 7, &b"<c/>"[..]);
    assert_eq!(house.list().await, r#"[320073963,"abc"]"#);
    assert_eq!(house.download("320073963").await, Seen::Whole(200, document()));
    assert_eq!(house.list().await, r#"["abc"]"#);
    assert_eq!(house.platform.remaining(SIREN, Kind::Acquittements), ["abc"]);
    assert_eq!(house.platform.remaining(SIREN, Kind::Chorus), ["7"]);
    house.platform.adjust(|it| (it.keep_listing, it.ids_as_strings) = (true, true));
    assert_eq!(house.list().await, r#"["320073963","abc"]"#);
    house.platform.listing_body(SIREN, Kind::Acquittements, r#"["../x", null"#);
    assert_eq!(house.list().await, r#"["../x", null"#);
    house.platform.clear_listing_body(SIREN, Kind::Acquittements);
    house.platform.remove(Kind::Acquittements, "abc");
    assert_eq!(house.list().await, r#"["320073963"]"#);
}

#[tokio::test]
async fn unknown_and_forgotten_documents_are_denied_in_the_platforms_words() {
    let house = house().await;
    let Seen::Whole(500, body) = house.download("9").await else { panic!("no error") };
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(error["developerMessage"], "Internal error: Invalid docId");
    assert!(error["generation"].is_i64() && error["userFriendlyMessage"].is_string() && error["errorCode"].is_u64());

    house.platform.put(SIREN, Kind::Acquittements, 1, document());
    for _ in 0..2 {
        assert_eq!(house.download("1").await, Seen::Whole(200, document()));
    }
    house.platform.adjust(|it| (it.forget_collected, it.unknown_status) = (Some(200), 404));
    let Seen::Whole(200, body) = house.download("1").await else { panic!("no error") };
    assert!(String::from_utf8(body).unwrap().contains("Invalid docId"));
    assert!(matches!(house.download("9").await, Seen::Whole(404, _)));
    assert_eq!(house.platform.downloads_of(1), 3);
}

#[tokio::test]
async fn bodies_arrive_whole_in_every_framing() {
    let house = house().await;
    for framing in [Framing::Length, Framing::Chunked, Framing::Close] {
        house.platform.adjust(|it| it.framing = framing);
        for size in [0, 1, 16_384, 16_385, 700_001] {
            let body = vec![b'x'; size];
            house.platform.put(SIREN, Kind::Acquittements, 1, body.clone());
            assert_eq!(house.download("1").await, Seen::Whole(200, body), "{framing:?} {size}");
            assert!(!house.waits());
        }
    }
}

#[tokio::test]
async fn only_good_certificates_are_let_in() {
    let house = house().await;
    let standings = [
        Standing::Expired,
        Standing::NotYetValid,
        Standing::Foreign,
        Standing::ServerOnly,
        Standing::Revoked,
        Standing::ExpiresIn(Duration::from_secs(3600)),
    ];
    let strangers: Vec<Client> = standings
        .iter()
        .map(|&standing| client(&house.keys, Some(&house.keys.client("x", standing).unwrap())))
        .chain([client(&house.keys, None)])
        .collect();
    let url = house.url(SIREN, "ack", "remaining");
    let mut refused = Vec::new();
    for stranger in &strangers {
        refused.push(stranger.get(&url).send().await.is_err());
    }
    assert_eq!(refused, [true, true, true, true, true, false, true]);
    assert_eq!((house.platform.refusals().len(), house.platform.requests().len()), (6, 1));

    house.platform.adjust(|it| it.plain_400_without_certificate = true);
    for (index, stranger) in strangers.iter().enumerate().filter(|&(index, _)| index != 5) {
        let answer = stranger.get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let title = if index == 6 { "No required SSL certificate was sent" } else { "The SSL certificate error" };
        assert!(answer.text().await.unwrap().contains(title));
    }
}

#[tokio::test]
async fn accounts_answer_only_to_the_certificates_registered_for_them() {
    let house = house().await;
    house.platform.put(SIREN, Kind::Acquittements, 1, document());
    house.platform.register(SIREN, "Syndicat");
    let Seen::Whole(403, body) = house.download("1").await else { panic!("let in") };
    assert!(String::from_utf8(body).unwrap().contains(r#""errorCode":100"#));
    assert!(house.list().await.contains("Unauthorized"));
    house.platform.register(SIREN, "Mairie");
    assert_eq!(house.list().await, "[1]");
    let Seen::Whole(500, body) = house.see(house.url("111111111", "ack", "remaining"), PATIENCE).await else {
        panic!()
    };
    assert!(String::from_utf8(body).unwrap().contains("Subscriber not found"));
}

#[tokio::test]
async fn records_say_who_asked_what_over_which_connection() {
    let house = house().await;
    house.platform.set_clock(Arc::new(SetClock::at("2026-11-22T08:09:10Z".parse().unwrap())));
    house.platform.put(SIREN, Kind::Chorus, 5, &b"<c/>"[..]);
    house.list().await;
    house.see(house.url("5", "chorus", "download"), PATIENCE).await;
    house.client.post(house.url("5", "chorus", "download")).send().await.unwrap();
    house.see(format!("{}/nowhere?x=1", house.platform.base_url()), PATIENCE).await;
    let records = house.platform.requests();
    let calls: Vec<_> = records.iter().map(|it| (it.call, it.kind, it.siren.as_deref(), it.id.as_deref())).collect();
    assert_eq!(calls[0], (Some(Call::List), Some(Kind::Acquittements), Some(SIREN), None));
    assert_eq!(calls[1], (Some(Call::Download), Some(Kind::Chorus), Some(SIREN), Some("5")));
    assert_eq!(calls[3], (None, None, None, None));
    assert_eq!(records.iter().map(|it| it.status.unwrap()).collect::<Vec<_>>(), [200, 200, 405, 404]);
    assert_eq!((records[2].method.as_str(), records[3].path.as_str()), ("POST", "/nowhere?x=1"));
    assert_eq!(records[0].connection, records[1].connection);
    assert!(records[2].connection < records[3].connection);
    assert_eq!((records[1].sent, records[1].completed), (4, true));
    assert!(records.iter().all(|it| it.client_subject.as_deref() == Some("Mairie")));
    assert!(records.iter().all(|it| it.at.to_string() == "2026-11-22T08:09:10Z" && it.finished_at.is_some()));
}

#[tokio::test]
async fn a_pulled_cable_ends_connections_and_refuses_new_ones_until_plugged_in() {
    let house = house().await;
    house.platform.set_fault(Matcher::listings(), Fault::Hang, Times::Once);
    let hanging = tokio::spawn(house.client.get(house.url(SIREN, "ack", "remaining")).send());
    timeout(PATIENCE, house.platform.wait_for(|records| records.len() == 1)).await.unwrap();
    house.platform.stop_accepting().await;
    assert!(timeout(PATIENCE, hanging).await.unwrap().unwrap().is_err());
    assert!(house.platform.requests()[0].finished_at.is_some());
    let refused = house.client.get(house.url(SIREN, "ack", "remaining")).send().await.unwrap_err();
    assert!(refused.is_connect());
    house.platform.resume().unwrap();
    assert_eq!(house.list().await, "[]");
}

#[tokio::test]
async fn a_platform_ends_with_its_last_handle() {
    let House { platform, client, .. } = house().await;
    let url = platform.base_url();
    drop(platform.clone());
    assert_eq!(client.get(&url).send().await.unwrap().status(), 404);
    drop(platform);
    tokio::task::yield_now().await;
    assert!(client.get(&url).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_downloads_are_no_burden() {
    const DOCUMENTS: usize = 10_000;
    let house = Arc::new(house().await);
    let small = samples::pes_retour(1, "21340017200017", 2_000);
    for id in 0..DOCUMENTS {
        house.platform.put(SIREN, Kind::Acquittements, id, small.clone());
    }
    let workers: Vec<_> = (0..16)
        .map(|worker| {
            let house = Arc::clone(&house);
            tokio::spawn(async move {
                for id in (worker..DOCUMENTS).step_by(16) {
                    assert!(matches!(house.download(&id.to_string()).await, Seen::Whole(200, _)));
                }
            })
        })
        .collect();
    for worker in workers {
        timeout(2 * PATIENCE, worker).await.unwrap().unwrap();
    }
    assert!(!house.waits());
    assert!(house.platform.requests().iter().all(|record| record.completed));
    // A client's pool may open some to spare while others are on their way back to it.
    assert!(house.platform.connections() < DOCUMENTS as u64 / 10, "{}", house.platform.connections());
}
