//! F6: what the platform sends in place of a document is never kept as one; what arrived whole is set aside.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::path::PathBuf;

use common::by_hand::mode;
use common::{SIREN, Town, sample};
use sha2::{Digest as _, Sha256};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Fault, Framing, Matcher, Times};

const FEED: &str = "fast/mairie/acquittements";

/// Everything that can come whole and is no return.
fn whole() -> Vec<(&'static str, Fault, &'static str)> {
    let replaced = |text: &'static str| Fault::Replace(text.into());
    vec![
        ("HTML", Fault::HtmlWith200, "an HTML page (\"Connexion\")"),
        ("an error in JSON", Fault::JsonErrorWith200("Internal error: try later".into()), "Internal error: try later"),
        ("nothing", Fault::Empty200, "an empty body"),
        ("blanks", replaced("\n \n"), "an empty body"),
        ("a document type", Fault::DoctypeXml, "<!DOCTYPE"),
        ("an unclosed element", replaced("<?xml version=\"1.0\"?>\n<a><b></a>"), "not well-formed XML at line 2"),
        ("two roots", replaced("<a/><a/>"), "not well-formed XML"),
        ("a cut without a length", Fault::CutWithoutLength(1000), "not well-formed XML"),
        ("plain text", replaced("Service temporairement indisponible"), "plain text"),
    ]
}

#[tokio::test]
async fn what_arrives_whole_and_is_no_return_is_set_aside_and_twice_the_same_ends_the_tries() {
    let town = Town::by_hand("", "", "").await;
    for (number, (what, fault, words)) in (100..).zip(whole()) {
        let document = town.put(number);
        town.platform.set_fault(Matcher::download(number), fault.clone(), Times::N(2));
        let said = town.poll().await;
        assert_eq!(said.code, 75, "{what}: {said:?}");
        assert_eq!(town.about(number, "state, attempts, archive_path").await, "failed 1 ", "{what}");
        let error = town.about(number, "error").await;
        let path = town.about(number, "quarantine_path").await;
        assert!(error.contains(words) && error.contains(&path), "{what}: {error}");
        assert!(path.starts_with("archive/quarantine/"), "{what}: {path}");
        let bytes = std::fs::read(town.state().join(&path)).unwrap();
        match &fault {
            Fault::Replace(sent) => assert_eq!(bytes, *sent),
            Fault::CutWithoutLength(at) => assert_eq!(bytes, document[..*at]),
            _ => {}
        }
        assert_eq!(mode(&town.state().join(&path)), 0o600);
        assert!(!town.in_inbox(number).exists());

        town.poll().await;
        if matches!(fault, Fault::JsonErrorWith200(_)) {
            // It bears the moment of its making: no two are the same.
            assert_eq!(town.about(number, "state, attempts").await, "failed 2");
            town.platform.remove(Kind::Acquittements, number);
            continue;
        }
        assert_eq!(town.state_of(number).await, "abandoned", "{what}");
        assert_eq!(town.platform.downloads_of(number), 2, "{what}");
        town.poll().await;
        assert_eq!(town.platform.downloads_of(number), 2, "{what}: nothing asks for it any more");
        town.platform.remove(Kind::Acquittements, number);
    }
    assert_eq!(town.inbox_files(), Vec::<PathBuf>::new());
    let quarantine = town.state().join("archive/quarantine");
    let outside = town.every_file("archive").into_iter().find(|path| !path.starts_with(&quarantine));
    assert_eq!(outside, None, "nothing else is left in the archive");
}

#[tokio::test]
async fn two_different_refusals_do_not_end_the_tries_and_the_document_is_kept_when_it_comes() {
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(5);
    for (_, fault, _) in whole().into_iter().take(4) {
        town.platform.set_fault(Matcher::download(5), fault, Times::Once);
        town.poll().await;
        assert_eq!(town.state_of(5).await, "failed");
    }
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.about(5, "state, coalesce(error, 'none')").await, "delivered none");
    assert_eq!(std::fs::read(town.in_inbox(5)).unwrap(), bytes);
}

#[tokio::test]
async fn a_body_cut_short_is_no_document_and_is_asked_for_again() {
    let cuts: [(u64, Framing, Fault); 8] = [
        (1, Framing::Length, Fault::CutWithLength(0)),
        (2, Framing::Length, Fault::CutWithLength(2999)),
        (3, Framing::Length, Fault::CutChunked(0)),
        (4, Framing::Length, Fault::CutChunked(2999)),
        (5, Framing::Length, Fault::ResetAfter(1500)),
        (6, Framing::Length, Fault::Reset),
        (7, Framing::Close, Fault::TruncatedTls(3000)),
        (8, Framing::Length, Fault::HangAfter(1500)),
    ];
    let town = Town::by_hand("timeout = \"300ms\"\n", "", "").await;
    for (number, framing, fault) in cuts {
        town.platform.adjust(|it| it.framing = framing);
        let bytes = town.put(number);
        town.platform.set_fault(Matcher::download(number), fault.clone(), Times::Once);
        assert_eq!(town.poll().await.code, 75, "{fault:?}");
        assert_eq!(town.about(number, "state, attempts, interruptions").await, "listed 0 1", "{fault:?}");
        assert!(!town.in_inbox(number).exists());
        assert_eq!(town.poll().await.code, 0, "{fault:?}");
        assert_eq!(std::fs::read(town.in_inbox(number)).unwrap(), bytes, "{fault:?}");
        assert_eq!(town.platform.downloads_of(number), 2, "{fault:?}");
    }
}

#[tokio::test]
async fn bodies_are_whole_however_their_end_is_marked() {
    let town = Town::by_hand("", "", "").await;
    for (number, framing) in [(1, Framing::Length), (2, Framing::Chunked), (3, Framing::Close)] {
        town.platform.adjust(|it| it.framing = framing);
        let large = sample(Kind::Acquittements, number, 300_000);
        town.platform.put(SIREN, Kind::Acquittements, number, large.clone());
        assert_eq!(town.poll().await.code, 0, "{framing:?}");
        assert_eq!(std::fs::read(town.in_inbox(number)).unwrap(), large, "{framing:?}");
    }
}

#[tokio::test]
async fn what_was_set_aside_becomes_the_document_when_an_operator_accepts_it() {
    let town = Town::by_hand("", "", "").await;
    let odd = b"<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ELEMENT a EMPTY>]>\n<a/>\n".to_vec();
    town.platform.put(SIREN, Kind::Acquittements, 8, odd.clone());
    town.poll().await;
    town.poll().await;
    assert_eq!(town.state_of(8).await, "abandoned");

    let said = town.say(&["retry", FEED, "8", "--accept"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("are the document now"), "{said:?}");
    assert_eq!(town.about(8, "state, coalesce(error, 'none')").await, "delivered none");
    let sha256: String = Sha256::digest(&odd).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(town.about(8, "size, sha256").await, format!("{} {sha256}", odd.len()));
    let inbox = town.inbox().join(town.inbox_files().pop().unwrap());
    assert_eq!(std::fs::read(inbox).unwrap(), odd, "handed over under the name that its bytes give it");
    assert_eq!(std::fs::read(town.state().join(town.about(8, "archive_path").await)).unwrap(), odd);
    assert_eq!(town.downloads(), 2, "no remote call");
    town.poll().await;
    assert_eq!(town.downloads(), 2);

    let said = town.say(&["retry", FEED, "8", "--accept"]).await;
    assert!(said.code == 1 && said.out.contains("held already"), "{said:?}");
    town.put(9);
    town.poll().await;
    town.platform.set_fault(Matcher::download(10), Fault::Reset, Times::Always);
    town.put(10);
    town.poll().await;
    let said = town.say(&["retry", FEED, "10", "--accept"]).await;
    assert!(said.code == 1 && said.out.contains("no bytes of it are set aside"), "{said:?}");
}
