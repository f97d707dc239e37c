//! F7: one document's failure never stops the others, and what a try costs.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::time::Duration;

use common::{SIREN, Town, sample};
use jiff::Timestamp;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Fault, Matcher, Record, Times};

fn status(status: u16) -> Fault {
    Fault::Status(status, "Bad Gateway".into(), Vec::new())
}

#[tokio::test]
async fn documents_that_fail_in_every_way_stop_no_other() {
    let town = Town::by_hand("timeout = \"500ms\"\nconcurrency = 2\n", "", "").await;
    let faults = [
        Fault::HtmlWith200,
        Fault::HangAfter(0),
        Fault::Reset,
        Fault::Status(400, "what?".into(), Vec::new()),
        Fault::Redirect("https://localhost:1/".into()),
        Fault::GzipNonsense,
        status(502),
        Fault::HangAfter(1000),
        Fault::CutWithLength(1000),
    ];
    for (number, fault) in (100..).zip(faults) {
        town.put(number);
        if !matches!(fault, Fault::Redirect(_)) {
            town.platform.set_fault(Matcher::download(number), fault, Times::Always);
        }
        town.put(number + 100);
    }
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    for number in 200..209 {
        assert_eq!(town.state_of(number).await, "delivered", "{number}: {said:?}");
    }
    let rows = town.query("SELECT remote_id FROM documents WHERE state = 'failed' AND attempts = 1").await;
    let failed: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(failed, ["100", "101", "102", "103", "105", "106", "107", "108"]);
    assert_eq!(town.value("SELECT outcome || ' ' || fetched || ' ' || failed FROM polls").await, "partial 10 8");
}

#[tokio::test]
async fn a_single_server_error_counts_as_a_try_and_a_pause_follows() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("1h", "", &format!("{mairie}feeds = [\"acquittements\"]\n"));
    town.put(1);
    town.put(2);
    town.platform.set_fault(Matcher::download(1), status(502), Times::Always);
    town.poll().await;
    assert_eq!(town.about(1, "state, attempts, interruptions").await, "failed 1 0");
    assert!(town.about(1, "error").await.contains("the platform answers 502: Bad Gateway"));
    let pause =
        town.query("SELECT next_try_at, polls.started_at FROM documents JOIN polls WHERE state = 'failed'").await;
    let [next, started] = [&pause[0][0], &pause[0][1]].map(|text| text.parse::<Timestamp>().unwrap());
    assert!((next - started).total(jiff::Unit::Minute).unwrap().round() == 60.0, "{pause:?}");
}

#[tokio::test]
async fn the_pauses_between_tries_double() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("700ms", "", &format!("{mairie}feeds = [\"acquittements\"]\n"));
    town.put(1);
    town.platform.set_fault(Matcher::download(1), Fault::Status(400, "no".into(), Vec::new()), Times::Always);
    let daemon = town.start().await;
    let download = |record: &&Record| record.call == Some(Call::Download);
    town.platform.wait_for(|records| records.iter().filter(download).count() == 3).await;
    daemon.kill().await;
    let records = town.platform.requests();
    let tries: Vec<_> = records.iter().filter(download).map(|record| record.started_at).collect();
    // A try may come a little late in its pass, and the next one punctually.
    let slack = Duration::from_millis(150);
    assert!(tries[1] - tries[0] + slack >= Duration::from_millis(700), "{tries:?}");
    assert!(tries[2] - tries[1] + slack >= Duration::from_millis(1400), "{tries:?}");
}

#[tokio::test]
async fn twelve_tries_abandon_a_document() {
    let town = Town::by_hand("", "", "").await;
    town.put(1);
    town.platform.set_fault(Matcher::download(1), Fault::Status(400, "no".into(), Vec::new()), Times::Always);
    for attempt in 1..12 {
        while town.platform.downloads_of(1) < attempt {
            town.poll().await;
        }
        assert_eq!(town.about(1, "state, attempts").await, format!("failed {attempt}"));
    }
    while town.platform.downloads_of(1) < 12 {
        town.poll().await;
    }
    assert_eq!(town.about(1, "state, attempts").await, "abandoned 12");
    town.poll().await;
    town.poll().await;
    assert_eq!(town.platform.downloads_of(1), 12);
    let status = town.say(&["status"]).await;
    assert!(status.code == 1 && status.out.contains("--state abandoned` says why"), "{status:?}");
}

#[tokio::test]
async fn three_server_errors_in_a_row_end_the_poll_and_nothing_counts() {
    let town = Town::by_hand("concurrency = 1\n", "", "").await;
    for number in 1..=6 {
        town.put(number);
    }
    town.platform.set_fault(Matcher::downloads(), status(503), Times::Always);
    let said = town.poll().await;
    assert!(said.code == 75 && said.out.contains("503: Bad Gateway, 3 times in a row"), "{said:?}");
    assert_eq!(town.downloads(), 3);
    let rows = town.query("SELECT DISTINCT state, attempts, interruptions FROM documents").await;
    assert_eq!(rows, [["listed", "0", "0"]]);
    assert_eq!(town.value("SELECT outcome FROM polls").await, "failed");
    town.platform.clear_faults();
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "6");
}

#[tokio::test]
async fn a_document_that_arrives_after_three_server_errors_makes_none_of_them_count() {
    let town = Town::by_hand("concurrency = 4\n", "", "").await;
    for number in 1..=4 {
        town.put(number);
    }
    town.platform.set_fault(
        Matcher::download(1),
        Fault::Drip { bytes: 500, every: Duration::from_millis(100) },
        Times::Always,
    );
    town.platform.set_fault(Matcher::downloads(), status(503), Times::Always);
    assert_eq!(town.poll().await.code, 75);
    assert_eq!(town.state_of(1).await, "delivered");
    let rows = town.query("SELECT DISTINCT state, attempts FROM documents WHERE remote_id <> '1'").await;
    assert_eq!(rows, [["listed", "0"]]);
}

#[tokio::test]
async fn two_server_errors_and_an_answer_count() {
    let town = Town::by_hand("concurrency = 1\n", "", "").await;
    for number in 1..=5 {
        town.put(number);
    }
    // The answer counts from its last byte: errors that follow come before a document this long is checked and synced.
    town.platform.put(SIREN, Kind::Acquittements, 3, sample(Kind::Acquittements, 3, 16 << 20));
    for number in [1, 2, 4, 5] {
        town.platform.set_fault(Matcher::download(number), status(500), Times::Always);
    }
    let said = town.poll().await;
    let rows = town.query("SELECT remote_id FROM documents WHERE state = 'failed' AND attempts = 1").await;
    assert_eq!(rows.concat(), ["1", "2", "4", "5"], "{said:?}");
    assert_eq!(town.state_of(3).await, "delivered");
}

#[tokio::test]
async fn nothing_counts_when_no_connection_can_be_made() {
    let town = Town::by_hand("concurrency = 1\n", "", "").await;
    for number in 1..=3 {
        town.put(number);
    }
    // The cable is pulled while the first document hangs, and the way stays cut.
    town.platform.set_fault(Matcher::download(1), Fault::Hang, Times::Once);
    let (said, ()) = tokio::join!(town.poll(), async {
        town.platform.wait_for(|records| records.iter().any(|record| record.call == Some(Call::Download))).await;
        town.platform.stop_accepting().await;
    });
    assert!(said.code == 75 && said.out.contains("network down"), "{said:?}");
    let rows = town.query("SELECT remote_id, state, attempts FROM documents").await;
    assert_eq!(rows, [["1", "listed", "0"], ["2", "listed", "0"], ["3", "listed", "0"]]);
    for _ in 0..2 {
        let said = town.poll().await;
        assert!(said.code == 75 && said.out.contains("network down"), "{said:?}");
    }
    assert_eq!(town.value("SELECT max(attempts) FROM documents").await, "0");
    assert_eq!(town.feed_status().await["health"], "failing");
    town.platform.resume().unwrap();
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "3");
}

#[tokio::test]
async fn a_broken_transfer_counts_only_if_others_went_through() {
    let town = Town::by_hand("timeout = \"500ms\"\n", "", "").await;
    town.put(1);
    town.platform.set_fault(Matcher::download(1), Fault::CutWithLength(100), Times::Always);
    for interruptions in 1..=3 {
        town.poll().await;
        assert_eq!(town.about(1, "state, attempts, interruptions").await, format!("listed 0 {interruptions}"));
    }
    town.put(2);
    town.poll().await;
    assert_eq!(town.about(1, "state, attempts, interruptions").await, "failed 1 4");
    assert_eq!(town.state_of(2).await, "delivered");
}

#[tokio::test]
async fn a_document_too_large_is_abandoned_at_once_and_nothing_of_it_stays() {
    let town = Town::by_hand("max_document = \"200KiB\"\n", "", "").await;
    let large = sample(Kind::Acquittements, 1, 204_801);
    town.platform.put(SIREN, Kind::Acquittements, 1, large);
    let fits = sample(Kind::Acquittements, 2, 204_800);
    town.platform.put(SIREN, Kind::Acquittements, 2, fits.clone());
    for (number, with_length) in [(3, true), (4, false)] {
        town.put(number);
        town.platform.set_fault(Matcher::download(number), Fault::Endless { with_length }, Times::Always);
    }
    let said = town.poll().await;
    for number in [1, 3, 4] {
        assert_eq!(town.about(number, "state, attempts").await, "abandoned 1", "{number}: {said:?}");
        let error = town.about(number, "error").await;
        assert!(error.contains("max_document (204800 bytes)") && error.contains("retry"), "{error}");
    }
    assert_eq!(std::fs::read(town.in_inbox(2)).unwrap(), fits, "the largest that is allowed");
    assert_eq!(town.every_file("archive").len(), 1, "{:?}", town.every_file("archive"));

    let config = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), config.replace("200KiB", "201KiB")).unwrap();
    town.say(&["retry", "fast/mairie/acquittements", "1"]).await;
    town.poll().await;
    assert_eq!(town.state_of(1).await, "delivered", "once max_document is raised");
}

#[tokio::test]
async fn one_accounts_failure_stops_no_other() {
    let town = Town::bare().await;
    let mut tables = town.account("mairie", SIREN, Standing::Valid);
    let others = [("ccas", "261300024"), ("ecole", "200012345"), ("regie", "213400180")];
    for (name, siren) in others {
        tables += &town.account(name, siren, Standing::Valid);
    }
    town.configure("1ms", "timeout = \"500ms\"\n", &tables);
    for (kind, number) in Kind::USUAL.into_iter().zip(1..) {
        for (siren, base) in [(SIREN, 10), ("261300024", 20), ("200012345", 30), ("213400180", 40)] {
            town.platform.put(siren, kind, base + number, sample(kind, base + number, 3000));
        }
    }
    town.platform.register("261300024", "someone else");
    let of = |siren: &str, call| Matcher { siren: Some(siren.into()), call: Some(call), ..Matcher::any() };
    town.platform.set_fault(of("200012345", Call::List), Fault::HangAfter(0), Times::Always);
    town.platform.set_fault(of("213400180", Call::Download), status(500), Times::Always);
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    let rows = town.query("SELECT DISTINCT feed FROM documents WHERE state = 'delivered' ORDER BY 1").await.concat();
    assert_eq!(rows, ["fast/mairie/acquittements", "fast/mairie/chorus", "fast/mairie/pes-retour"]);
    let outcomes = town.query("SELECT feed, outcome FROM polls WHERE feed LIKE '%/chorus' ORDER BY feed").await;
    let expected = [
        ["fast/ccas/chorus", "failed"],
        ["fast/ecole/chorus", "failed"],
        ["fast/mairie/chorus", "ok"],
        ["fast/regie/chorus", "partial"],
    ];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn a_document_that_came_in_a_coding_not_asked_for_is_in_doubt_and_lost_if_it_is_then_no_longer_there() {
    let town = Town::by_hand("", "", "").await;
    town.put(1);
    town.platform.set_fault(Matcher::download(1), Fault::GzipNonsense, Times::Once);
    town.poll().await;
    assert_eq!(town.about(1, "state, attempts, interruptions").await, "listed 0 1");
    town.platform.remove(Kind::Acquittements, 1);
    town.poll().await;
    assert_eq!(town.state_of(1).await, "lost");
}
