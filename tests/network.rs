//! Hostile networks and servers: each fault ends in time with an error that says what happened, and costs its own
//! document only (F7); the certificate goes to its platform alone (F10); nothing is collected without room (F9).
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::collections::HashSet;
use std::time::Duration;

use common::{SIREN, Town, complained, sample, told};
use jiff::Timestamp;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Fault, Keys, Matcher, Platform, Times};

const DELIVERED: &str = "SELECT count(*) FROM documents WHERE state = 'delivered'";

#[tokio::test]
async fn one_listing_failing_one_document_hanging_two_accounts_shut_out_and_the_rest_is_there_in_five_seconds() {
    let town = Town::bare().await;
    let accounts = [
        town.account("mairie", SIREN, Standing::Valid),
        town.account("ccas", "213400010", Standing::Valid),
        town.account("ended", "213400028", Standing::Expired),
        town.account("foreign", "213400036", Standing::Foreign),
    ];
    town.configure("30m", "timeout = \"60s\"", &accounts.concat());
    for (index, siren) in [SIREN, "213400010", "213400028", "213400036"].into_iter().enumerate() {
        for kind in Kind::USUAL {
            for number in 0..30 {
                let id = 1000 * (index as u64 + 1) + 100 * kind as u64 + number;
                town.platform.put(siren, kind, id, sample(kind, id, 3000));
            }
        }
    }
    town.platform.set_fault(
        Matcher::listing(SIREN, Kind::Chorus),
        Fault::Status(500, "oops".into(), Vec::new()),
        Times::Always,
    );
    town.platform.set_fault(Matcher::download(2000), Fault::Hang, Times::Always);
    let daemon = town.start().await;
    // 5 feeds of 30, less the one that hangs.
    town.wait_value(DELIVERED, "149").await;
    let late = town
        .query("SELECT started_at, max(stored_at) FROM documents JOIN polls ON polls.id = poll_id GROUP BY polls.id")
        .await;
    assert_eq!(late.len(), 5);
    for row in late {
        let [started, stored] = [0, 1].map(|index| row[index].parse::<Timestamp>().unwrap());
        assert!(stored.duration_since(started).as_secs() < 5, "{row:?}");
    }
    drop(daemon);
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_the_certificate_is_offered_nowhere_else() {
    let elsewhere_keys = Keys::generate().unwrap();
    let elsewhere = Platform::start(&elsewhere_keys).await.unwrap();
    let town = Town::bare().await;
    town.configure("1s", "", &town.account("mairie", SIREN, Standing::Valid));
    town.put_many(Kind::Chorus, 1, 3, 2000);
    let target = format!("{}/parapheur-ws/rest/v1/documents/v2/1/chorus/download", elsewhere.base_url());
    town.platform.set_fault(Matcher::listing(SIREN, Kind::PesRetour), Fault::Redirect(target.clone()), Times::Always);
    town.platform.set_fault(Matcher::download(2), Fault::Redirect(target.clone()), Times::N(1));
    town.platform.set_fault(Matcher::download(3), Fault::Redirect(town.platform.base_url()), Times::N(1));
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "3").await;
    daemon.wait_event("feed.failing").await;
    town.wait_value("SELECT consecutive_failures >= 2 FROM feeds WHERE feed = 'fast/mairie/pes-retour'", "1").await;
    let error = town.value("SELECT last_error FROM feeds WHERE feed = 'fast/mairie/pes-retour'").await;
    assert!(error.contains(&target) && error.contains("base_url"), "{error}");
    assert_eq!(elsewhere.connections(), 0);
    let strays = town.platform.requests().into_iter().filter(|record| record.call.is_none()).count();
    assert_eq!(strays, 0, "nor is one to the same origin followed");
}

#[tokio::test]
async fn every_fault_of_the_wire_ends_in_time_costs_its_own_document_and_heals() {
    let town = Town::bare().await;
    town.configure("1s", "timeout = \"1s\"\nconcurrency = 16", &town.account("mairie", SIREN, Standing::Valid));
    let ms = Duration::from_millis;
    let faults = [
        (Fault::Reset, "broke"),
        (Fault::ResetAfter(1), "broke after"),
        (Fault::ResetAfter(1999), "broke after"),
        (Fault::CutWithLength(1000), "broke after"),
        (Fault::CutChunked(1000), "broke after"),
        (Fault::TruncatedTls(1000), "broke after"),
        (Fault::WrongLength(100_000), "broke after"),
        (Fault::CutWithoutLength(1000), "not well-formed"),
        (Fault::Hang, "did not answer within"),
        (Fault::HangAfter(500), "stood still after 500 bytes"),
        (Fault::Drip { bytes: 20, every: ms(50) }, "stood still after"),
        (Fault::SlowHeaders(ms(300)), "did not answer within"),
        (Fault::GzipNonsense, "content coding"),
        (Fault::HugeHeaders(2 << 20), "broke"),
        (Fault::DoctypeXml, "document type"),
        (Fault::Empty200, "empty"),
    ];
    town.put_many(Kind::Chorus, 1, 60, 2000);
    for (number, (fault, _)) in faults.iter().enumerate() {
        town.platform.set_fault(Matcher::download(number + 1), fault.clone(), Times::N(1));
    }
    let daemon = town.start().await;
    town.wait_value(&format!("{DELIVERED} AND CAST(remote_id AS INTEGER) > {}", faults.len()), "44").await;
    town.wait_value(DELIVERED, "60").await;
    let log = daemon.log();
    for (number, (fault, words)) in faults.iter().enumerate() {
        let id = (number + 1).to_string();
        let mut told = log.iter().filter(|line| line["event"] == "document.failed" && line["remote_id"] == id.as_str());
        let told = told.next().unwrap_or_else(|| panic!("{fault:?} left no trace"));
        assert!(told["error"].as_str().unwrap().contains(words), "{fault:?}: {told}");
        assert_eq!(town.platform.downloads_of(&id), 2, "{fault:?}");
    }
    for number in 1..=60 {
        let file = town.inbox().join(format!("fast/mairie/chorus/{number}.xml"));
        assert_eq!(std::fs::read(file).unwrap(), sample(Kind::Chorus, number, 2000));
    }
}

#[tokio::test]
async fn a_body_without_end_is_abandoned_at_the_limit_which_is_named() {
    let town = Town::bare().await;
    // The platform is played in a build that is not optimised: few bytes have to do.
    town.configure("1s", "", &town.account("mairie", SIREN, Standing::Valid));
    let text = std::fs::read_to_string(town.config()).unwrap().replace("16MiB", "1MiB");
    std::fs::write(town.config(), text).unwrap();
    town.put_many(Kind::Chorus, 1, 10, 2000);
    town.platform.set_fault(Matcher::download(1), Fault::Endless { with_length: true }, Times::Always);
    town.platform.set_fault(Matcher::download(2), Fault::Endless { with_length: false }, Times::Always);
    town.platform.set_fault(
        Matcher::listing(SIREN, Kind::PesRetour),
        Fault::Endless { with_length: true },
        Times::Always,
    );
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "8").await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'abandoned' AND error LIKE '%max_document%'", "2")
        .await;
    let abandoned = daemon.events("document.abandoned");
    assert!(abandoned.iter().all(|event| event["level"] == "ERROR") && abandoned.len() == 2, "{abandoned:?}");
    town.wait_value("SELECT count(*) FROM polls WHERE feed LIKE '%/chorus' AND outcome = 'ok'", "2").await;
    assert_eq!((town.platform.downloads_of(1), town.platform.downloads_of(2)), (1, 1));
    assert_eq!(common::files(&town.state().join("archive/fast")).len(), 8);
    town.wait_value("SELECT consecutive_failures >= 2 FROM feeds WHERE kind = 'pes-retour'", "1").await;
    let (status, code) = town.status().await;
    assert_eq!((status["feeds"][1]["abandoned"].as_i64(), code), (Some(2), Some(1)), "{status}");
}

#[tokio::test]
async fn many_documents_come_over_few_connections() {
    let town = Town::with_interval("30m").await;
    for kind in Kind::USUAL {
        town.put_many(kind, 1000 * (kind as u64 + 1), 100, 2000);
    }
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "300").await;
    // A feed keeps its own connections for its one poll, and an account has four downloads side by side at most.
    let used: HashSet<u64> = town.platform.requests().iter().map(|record| record.connection).collect();
    assert!(used.len() <= 12 && town.platform.connections() <= 12, "{}", town.platform.connections());
    let downloads: Vec<_> =
        town.platform.requests().into_iter().filter(|record| record.call == Some(Call::Download)).collect();
    let most = downloads
        .iter()
        .map(|one| {
            let during = |other: &&_| {
                let (other, one): (&vaguemestre::simulator::Record, _) = (other, one);
                other.started_at <= one.started_at && other.finished_at.is_none_or(|end| end > one.started_at)
            };
            downloads.iter().filter(during).count()
        })
        .max();
    assert!(most <= Some(4), "{most:?} documents of one account at a time");
    drop(daemon);
}

#[tokio::test]
async fn without_room_nothing_is_listed_and_it_is_said_once() {
    let town = Town::with_interval("1s").await;
    let text = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), text.replace("reserve = \"1MiB\"", "reserve = \"1000TiB\"")).unwrap();
    town.put_many(Kind::Chorus, 1, 3, 2000);

    let alone = town.run(&["poll"]).await;
    assert_eq!(alone.status.code(), Some(75), "{}", complained(&alone));
    assert!(told(&alone).contains("free space is below [state] reserve"), "{}", told(&alone));

    let daemon = town.start().await;
    let low = daemon.wait_event("disk.low").await;
    assert_eq!(low["level"], "ERROR");
    let asked = town.run(&["poll", "fast/*"]).await;
    assert_eq!(asked.status.code(), Some(75));
    assert!(told(&asked).contains("make room"), "{}", told(&asked));
    town.wait_value(
        "SELECT count(*) FROM feeds WHERE next_poll_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 seconds')",
        "3",
    )
    .await;
    assert_eq!(daemon.events("disk.low").len(), 1);
    assert_eq!((town.platform.connections(), town.value("SELECT count(*) FROM polls").await.as_str()), (0, "0"));
    assert_eq!(town.run(&["check"]).await.status.code(), Some(1));
}

#[tokio::test]
async fn with_little_room_documents_come_as_many_at_a_time_as_fit() {
    let town = Town::bare().await;
    let free = vaguemestre::state::free_space(town.folder.path()).unwrap();
    // Room for two and a half of the largest documents: what else happens on this disk meanwhile matters little.
    let (largest, reserve) = (free / 8, free / 16 * 11);
    town.configure("1s", "concurrency = 8", &town.account("mairie", SIREN, Standing::Valid));
    let text = std::fs::read_to_string(town.config()).unwrap();
    let text = text.replace("\"16MiB\"", &format!("\"{largest}\"")).replace("\"1MiB\"", &format!("\"{reserve}\""));
    std::fs::write(town.config(), text).unwrap();
    town.put_many(Kind::Chorus, 1, 40, 2000);
    town.platform.adjust(|it| it.latency = Duration::from_millis(20));
    let daemon = town.start().await;
    town.wait_value(DELIVERED, "40").await;
    // That there is less than twice the reserve is a warning; that there is none would be an error.
    assert!(daemon.events("disk.low").iter().all(|event| event["level"] == "WARN"), "there is room");
    assert_eq!(town.value("SELECT count(*) FROM polls WHERE outcome <> 'ok' AND finished_at IS NOT NULL").await, "0");
}
