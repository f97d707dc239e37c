//! The APIs behind tokens, their token servers, and API Entreprise: each request by itself, with a short time limit.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::Instant;
use vaguemestre::clock::{Clock as _, SystemClock};
use vaguemestre::config::{self, Group};
use vaguemestre::connector::Connector as _;
use vaguemestre::connector::Page;
use vaguemestre::connector::entreprise::{Api, Call, Meaning};
use vaguemestre::connector::resource::{Held, Items, Resource};
use vaguemestre::feed::RemoteDocument;
use vaguemestre::http::skew::SkewWatch;
use vaguemestre::http::verifier::ServerVerifier;
use vaguemestre::http::{Client, Route, anonymous_tls};
use vaguemestre::ledger::Ledger;
use vaguemestre::simulator::oauth::Tokens;
use vaguemestre::token::{self, Manager, Way};
use vaguemestre::words::is_hidden;

use super::common::wire::Wire;
use super::*;

const TIMEOUT: Duration = Duration::from_secs(1);

/// The answer to a request for `/INDEX/…`, as the fault of that number makes it.
async fn wire(faults: &'static [Fault]) -> Wire {
    Wire::plain(move |asked| {
        let index: usize = asked.path().split('/').find_map(|part| part.parse().ok()).unwrap();
        let body = format!("[{{\"id\": 1, \"more\": \"{}\"}}]", "x".repeat(100)).into_bytes();
        let kind = "Content-Type: application/json\r\n".to_owned();
        (faults[index].play)(Honest { kind, status: "200 OK", body })
    })
    .await
}

fn route(url: &str, timeout: Duration) -> Route {
    Route { origin: url.to_owned(), loopback: true, timeout, keep_alive: 2, ..Route::default() }
}

fn client(url: &str, timeout: Duration) -> Client {
    Client::new(anonymous_tls(None).unwrap(), &route(url, timeout)).unwrap()
}

/// Whose calls last [`TIMEOUT`] in all.
fn entreprise(url: &str) -> Arc<Api> {
    let (client, route) = (client(url, TIMEOUT * 4), route(url, TIMEOUT * 4));
    Arc::new(Api::new(client, url, Group::Json, TIMEOUT, route, ServerVerifier::new(None).unwrap()))
}

/// A folder with a ledger, whose manager gives tokens to `accounts` of the customs from `token_url`.
async fn manager(token_url: &str, accounts: usize) -> (tempfile::TempDir, Arc<Manager>, watch::Sender<bool>) {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "very-secret").unwrap();
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let account = |number: usize| {
        format!(
            "[[douane.accounts]]\nname = \"a{number}\"\nusername = \"a{number}\"\npassword = {{ file = \"password\" }}\n"
        )
    };
    let accounts: String = (0..accounts).map(account).collect();
    let text = format!("[state]\ndirectory = \"state\"\n[douane]\ntoken_url = \"{token_url}\"\n{accounts}");
    let file = folder.path().join("vaguemestre.toml");
    std::fs::write(&file, text).unwrap();
    let clock = Arc::new(SystemClock::new());
    std::fs::create_dir(folder.path().join("state")).unwrap();
    let ledger = Ledger::open(&folder.path().join("state"), clock.now()).await.unwrap();
    let loaded = config::load(&file, std::iter::empty());
    let settings = loaded.settings.unwrap_or_else(|| panic!("{:#?}", loaded.findings));
    let (running, stopping) = watch::channel(false);
    let manager = Arc::new(Manager::new(ledger, clock.clone(), Arc::new(SkewWatch::new(clock)), stopping));
    manager.serve(token::accounts(&settings), Way::default());
    (folder, manager, running)
}

/// Plays every fault with `ask`, all at once; each must come to an error with its words, in time and with no hidden character.
async fn each<F: Future<Output = Result<(), String>>>(
    faults: &'static [Fault],
    in_time: Duration,
    words: fn(&'static Fault) -> &'static str,
    ask: impl Fn(usize) -> F,
) {
    let outcomes = join_all((0..faults.len()).map(|index| {
        let asked = ask(index);
        async move {
            let began = Instant::now();
            (asked.await, began.elapsed())
        }
    }));
    let mut wrong = Vec::new();
    for ((outcome, took), fault) in outcomes.await.into_iter().zip(faults) {
        match outcome {
            Ok(()) => wrong.push(format!("{}: no error", fault.name)),
            Err(error) if !error.contains(words(fault)) || error.contains(is_hidden) => {
                wrong.push(format!("{}: «{}» is not in: {error:?}", fault.name, words(fault)));
            }
            Err(_) if took > in_time => wrong.push(format!("{}: took {took:?}", fault.name)),
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is told otherwise of an API than of FAST: there is no certificate to be seen.
fn words_of_api(fault: &'static Fault) -> &'static str {
    match fault.listing {
        "saw no certificate" | "refuses the certificate" => "the API does not take this request (status 400, ",
        "sends us elsewhere" => "the platform sends us elsewhere",
        "answers 101" => "status 101",
        words => words,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_and_lists_of_an_api_and_their_items() {
    let faults: &'static [Fault] = Vec::leak(all_faults().copied().collect());
    let wire = wire(faults).await;
    let tokens = Tokens::start().await.unwrap();
    tokens.know("a0", "very-secret");
    let (_folder, manager, _running) = manager(&tokens.douane_url(), 1).await;
    let resource = || Resource::new(client(&wire.url(), TIMEOUT), &wire.url(), Arc::clone(&manager), "douane/a0");
    each(faults, TIMEOUT * 5, words_of_api, |index| {
        let resource = resource();
        async move {
            let visit = resource.visit(&format!("/{index}"), &Held::default()).await;
            visit.map(drop).map_err(|error| error.to_string())
        }
    })
    .await;
    each(faults, TIMEOUT * 5, words_of_api, |index| {
        let items = Items::new(resource(), &format!("/{index}"), "/id", "/x/{id}");
        async move { items.list(&Page::default()).await.map(drop).map_err(|error| error.to_string()) }
    })
    .await;
    each(faults, TIMEOUT * 5, words_of_api, |index| {
        let items = Items::new(resource(), "/list", "/id", "/{id}");
        async move {
            let mut item =
                items.fetch(&RemoteDocument::of_id(index.to_string())).await.map_err(|error| error.to_string())?;
            while item.next().await.map_err(|error| error.to_string())?.is_some() {}
            Ok(())
        }
    })
    .await;
    assert_eq!(tokens.requests().len(), 1);
    assert_eq!(wire.asked().len(), 3 * faults.len(), "none is asked twice");
}

/// What is told of a token server: whatever is wrong with an answer, there is no token.
fn words_of_tokens(fault: &'static Fault) -> &'static str {
    match fault.listing {
        "did not answer within 1 s" => "did not answer within 20 s",
        "saw no certificate" | "refuses the certificate" => "refuses it with status 400",
        "answers 101" => "status 101",
        words if fault.name.contains("redirect") || words.contains("portal") => "a redirect, which is never followed",
        "proxy" => "answers with status 407",
        words if words.starts_with("answers 50") => "answers with status 50",
        "asks to wait 60 s" => "answers with status 503",
        words => words,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn token_servers() {
    let faults: &'static [Fault] = Vec::leak(all_faults().copied().collect());
    let wire = Wire::plain(move |asked| {
        let name = asked.body.split("username=a").nth(1).unwrap().split('&').next().unwrap();
        let body = format!("{{\"access_token\": \"{}\", \"expires_in\": 300}}", "t".repeat(100)).into_bytes();
        let kind = "Content-Type: application/json\r\n".to_owned();
        (faults[name.parse::<usize>().unwrap()].play)(Honest { kind, status: "200 OK", body })
    });
    let wire = wire.await;
    let (_folder, manager, _running) = manager(&format!("{}/token", wire.url()), faults.len()).await;
    each(faults, Duration::from_secs(25), words_of_tokens, |index| {
        let manager = Arc::clone(&manager);
        async move {
            let error = match manager.token(&format!("douane/a{index}")).await {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            assert!(!error.to_string().contains("very-secret") && !error.remedy().is_empty(), "{error}");
            Err(error.to_string())
        }
    })
    .await;
    assert_eq!(wire.asked().len(), faults.len(), "none is asked twice");
}

/// What is told of a call of API Entreprise: a status is an answer, whatever it says.
fn words_of_entreprise(fault: &'static Fault) -> &'static str {
    match fault.listing {
        "stood still" | "stood still after" | "stood still after 0 bytes" => "did not answer within",
        "saw no certificate" | "refuses the certificate" => "status 400",
        "answers 101" => "status 101",
        "sends us elsewhere" => "redirects are not followed",
        "proxy" => "status 407",
        words if words.starts_with("answers 50") => "status 50",
        "asks to wait 60 s" => "status 503",
        words => words,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_of_api_entreprise_and_its_documents() {
    let faults: &'static [Fault] = Vec::leak(all_faults().copied().collect());
    let wire = wire(faults).await;
    let url = wire.url();
    let api = || entreprise(&url);
    let token = SecretString::from("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl");
    each(faults, TIMEOUT * 5, words_of_entreprise, |index| {
        let (api, token) = (api(), token.clone());
        async move {
            let path = format!("/{index}/{{siren}}");
            let (subject, recipient, query) = ("552032534", "55203253400646", BTreeMap::new());
            let call = Call { path: &path, subject, context: "c", recipient, object: "o", query: &query };
            match api.ask(&call, &token).await.map_err(|error| error.to_string())?.meaning {
                Meaning::Version { .. } => Ok(()),
                Meaning::Answer { text }
                | Meaning::Retry { text, .. }
                | Meaning::Stop { text, .. }
                | Meaning::Unreadable { text } => Err(text),
                Meaning::Partial { .. } | Meaning::Quota => Err("of no fault here".to_owned()),
            }
        }
    })
    .await;
    assert_eq!(wire.asked().len(), faults.len(), "none is asked twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_of_api_entreprise() {
    // Slowness is the client's affair, whose limit is half a minute here.
    let faults: &'static [Fault] = Vec::leak([ENDS, NONSENSE, ANSWERS].concat());
    let wire = wire(faults).await;
    let api = entreprise(&wire.url());
    each(faults, TIMEOUT * 5, words_of_documents, |index| {
        let (api, url) = (Arc::clone(&api), format!("{}/{index}", wire.url()));
        async move {
            let mut document = api.document(&url).await.map_err(|error| error.to_string())?;
            while document.next().await.map_err(|error| error.to_string())?.is_some() {}
            Ok(())
        }
    })
    .await;
    assert_eq!(wire.asked().len(), faults.len(), "none is asked twice, and nobody else");
    assert!(wire.asked().iter().all(|asked| !asked.head.to_lowercase().contains("authorization")));
}

/// What is told of a document: its server's status, in place of the document.
fn words_of_documents(fault: &'static Fault) -> &'static str {
    match fault.listing {
        "saw no certificate" | "refuses the certificate" => "answers 400 instead",
        words if words.starts_with("answers 50") => "answers 50",
        _ if ANSWERS.iter().any(|other| other.name == fault.name) => "instead of the document",
        words => words,
    }
}

#[tokio::test]
async fn a_ping_that_trickles_for_ever_is_given_up() {
    let wire = Wire::plain(|_| {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        vec![Step::Say(head.into()), Step::Trickle(format!("800\r\n{:2048}\r\n", "").into(), ms(200))]
    });
    let wire = wire.await;
    let api = entreprise(&wire.url());
    let began = Instant::now();
    let token = SecretString::from("t");
    let (ping, privileges) = tokio::join!(api.ping("/v3/x"), api.privileges(&token));
    assert_eq!(ping.unwrap(), "status 200", "it has answered");
    assert!(privileges.unwrap_err().to_string().contains("did not answer within 10 s"));
    assert!(began.elapsed() < Duration::from_secs(13), "{:?}", began.elapsed());
}
