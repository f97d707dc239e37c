//! The listings and documents of FAST-Parapheur, over each interface.

use base64::Engine as _;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::words::is_hidden;

use super::common::wire::{Asked, Wire, authority};
use super::common::{Daemon, SIREN, Town, sample};
use super::*;

/// The limit of a request and of a transfer that stands still; each fault ends within it, and the time a poll takes.
const TIMEOUT: f64 = 1.0;
const IN_TIME: f64 = TIMEOUT + 4.0;
/// Accounts that meet a fault have a SIREN from here on, which is the id of their document as well.
const FIRST: usize = 500_000_000;
/// The neighbour's documents.
const NEIGHBOURS: u64 = 20;

/// An interface: how its requests are answered honestly.
#[derive(Clone, Copy)]
enum Interface {
    Rest,
    Soap,
    Webdav,
}

/// What meets the fault.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Listing,
    Document,
}

const SOAP: &str = "Content-Type: text/xml;charset=UTF-8\r\n";

fn envelope(operation: &str, inner: &str) -> Vec<u8> {
    format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><ns2:{operation}Response \
         xmlns:ns2=\"http://sei.ws.fast.cdc.com/\">{inner}</ns2:{operation}Response></soap:Body></soap:Envelope>"
    )
    .into_bytes()
}

impl Interface {
    fn word(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Soap => "soap",
            Self::Webdav => "webdav",
        }
    }

    fn is_listing(self, asked: &Asked) -> bool {
        match self {
            Self::Rest => asked.path().ends_with("/remaining"),
            Self::Soap => asked.body.contains("listRemaining"),
            Self::Webdav => asked.method() == "PROPFIND",
        }
    }

    fn listing(self, ids: &[String], siren: &str) -> Honest {
        let (kind, status, body) = match self {
            Self::Rest => {
                ("Content-Type: application/json\r\n", "200 OK", format!("[{}]{:40}", ids.join(","), "").into_bytes())
            }
            Self::Soap => {
                let returns: String = ids.iter().map(|id| format!("<return>{id}</return>")).collect();
                (SOAP, "200 OK", envelope("listRemainingChorus", &returns))
            }
            Self::Webdav => {
                let base = format!("/partage/webdav/clients/{siren}/out/chorus-pivot/");
                let response = |href: String, kind: &str| {
                    format!(
                        "<response><href>{href}</href><propstat><prop><resourcetype>{kind}</resourcetype></prop>\
                         <status>HTTP/1.1 200 OK</status></propstat></response>"
                    )
                };
                let files: String = ids.iter().map(|id| response(format!("{base}{id}"), "")).collect();
                let itself = response(base.clone(), "<collection/>");
                let text = format!("<?xml version=\"1.0\"?><multistatus xmlns=\"DAV:\">{itself}{files}</multistatus>");
                ("Content-Type: application/xml\r\n", "207 Multi-Status", text.into_bytes())
            }
        };
        Honest { kind: kind.to_owned(), status, body }
    }

    fn document(self, id: u64) -> Honest {
        let bytes = sample(Kind::Chorus, id, 2000);
        let body = match self {
            Self::Soap => {
                let content = base64::engine::general_purpose::STANDARD.encode(&bytes);
                let inner = format!("<return><content>{content}</content><documentId>{id}</documentId></return>");
                envelope("downloadChorus", &inner)
            }
            Self::Rest | Self::Webdav => bytes,
        };
        let kind = if matches!(self, Self::Soap) { SOAP } else { "Content-Type: application/xml\r\n" };
        Honest { kind: kind.to_owned(), status: "200 OK", body }
    }
}

/// The SIREN of the account that a request is about, or the id of its document: nine digits that begin with a 5, or those of
/// the neighbour.
fn subject(asked: &Asked) -> Option<usize> {
    let text = format!("{}\n{}", asked.head, asked.body);
    let digits = text.split(|c: char| !c.is_ascii_digit()).find(|it| it.len() == 9 && it.starts_with("50"));
    digits.and_then(|digits| digits.parse::<usize>().ok()).map(|number| number - FIRST)
}

struct Scene {
    town: Town,
    wire: Wire,
    daemon: Daemon,
}

impl Scene {
    /// An account for each of `faults`, met by their listings or their documents over `interface`, and a neighbour over REST.
    async fn play(interface: Interface, target: Target, faults: &'static [Fault]) -> Self {
        let wire = Wire::over_tls(move |asked| {
            let Some(index) = subject(asked) else {
                let honest = if Interface::Rest.is_listing(asked) {
                    Interface::Rest.listing(&(1..=NEIGHBOURS).map(|id| id.to_string()).collect::<Vec<_>>(), SIREN)
                } else {
                    let id = asked.path().split('/').rev().nth(2).unwrap().parse().unwrap();
                    Interface::Rest.document(id)
                };
                return vec![Step::Say(honest.whole())];
            };
            let siren = (FIRST + index).to_string();
            match (interface.is_listing(asked), target) {
                (true, Target::Listing) => (faults[index].play)(interface.listing(&[], &siren)),
                (true, Target::Document) => {
                    vec![Step::Say(interface.listing(std::slice::from_ref(&siren), &siren).whole())]
                }
                (false, _) => (faults[index].play)(interface.document((FIRST + index) as u64)),
            }
        });
        let wire = wire.await;
        let town = Town::bare().await;
        let account = |index: usize| {
            format!(
                "[[fast.accounts]]\nname = \"a{index}\"\nsiren = \"{}\"\ncertificate = \"mairie\"\nfeeds = [\"chorus\"]\n\
                 connector = \"{}\"\n",
                FIRST + index,
                interface.word()
            )
        };
        let mairie = town.account("mairie", SIREN, Standing::Valid) + "feeds = [\"chorus\"]\n";
        let accounts: String = (0..faults.len()).map(account).collect();
        town.configure("30m", "timeout = \"1s\"", &(mairie + &accounts));
        let text = std::fs::read_to_string(town.config()).unwrap();
        let text = text.replace(&town.platform.base_url(), &wire.url());
        let text = text.replace(&town.authority.display().to_string(), &authority().display().to_string());
        std::fs::write(town.config(), text).unwrap();
        let daemon = town.start().await;
        Self { town, wire, daemon }
    }

    /// Each listing that met a fault ended in time with the right words, and the neighbour's documents are there.
    async fn judge(self, target: Target, faults: &'static [Fault]) {
        let Self { town, wire, daemon } = self;
        let delivered = "SELECT count(*) FROM documents WHERE feed = 'fast/mairie/chorus' AND state = 'delivered'";
        town.wait_value(delivered, &NEIGHBOURS.to_string()).await;
        let ended = "SELECT count(*) FROM feeds WHERE last_outcome IS NOT NULL";
        town.wait_value(ended, &(faults.len() + 1).to_string()).await;
        let mut wrong = Vec::new();
        let polls = town
            .query(
                "SELECT feed, outcome, max(strftime('%s', finished_at, 'subsec') - strftime('%s', started_at, 'subsec')), \
                 count(*) FROM polls GROUP BY feed",
            )
            .await;
        for row in polls {
            let (took, own) = (row[2].parse::<f64>().unwrap(), row[0] != "fast/mairie/chorus");
            if took > IN_TIME || (own && row[3] != "1") || (own == (row[1] == "ok")) {
                wrong.push(format!("{row:?}"));
            }
        }
        for (index, fault) in faults.iter().enumerate() {
            let (sql, words) = match target {
                Target::Listing => ("SELECT last_error FROM feeds", fault.listing),
                Target::Document => (
                    "SELECT coalesce((SELECT group_concat(error) FROM documents d WHERE d.feed = feeds.feed), '') || coalesce(last_error, '') FROM feeds",
                    fault.document,
                ),
            };
            let error = town.value(&format!("{sql} WHERE feed = 'fast/a{index}/chorus'")).await;
            if error.is_empty() || !error.contains(words) || error.contains(is_hidden) {
                wrong.push(format!("{}: «{words}» is not in: {error:?}", fault.name));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // Whatever leads elsewhere, and whatever was answered: one request for each listing, and one for each document.
        let mut asked: Vec<String> =
            wire.asked().iter().map(|it| format!("{}{}", it.head.lines().next().unwrap(), it.body)).collect();
        let all = asked.len();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), all, "asked twice: {asked:#?}");
        assert!(!asked.iter().any(|line| line.contains("elsewhere")), "{asked:#?}");
        assert!(daemon.stop().await.success());
    }
}

async fn all(interface: Interface, target: Target) {
    let faults: &'static [Fault] = Vec::leak(all_faults().copied().collect());
    Scene::play(interface, target, faults).await.judge(target, faults).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_over_rest() {
    all(Interface::Rest, Target::Listing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_over_rest() {
    all(Interface::Rest, Target::Document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_over_soap() {
    all(Interface::Soap, Target::Listing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_over_soap() {
    all(Interface::Soap, Target::Document).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listings_over_webdav() {
    all(Interface::Webdav, Target::Listing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_over_webdav() {
    all(Interface::Webdav, Target::Document).await;
}
