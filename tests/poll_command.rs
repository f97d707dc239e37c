//! `poll`: one pass, by every rule; what it prints, how it exits, what the ledger keeps of it.
#![cfg(feature = "simulator")]

mod common;

use common::{Daemon, SIREN, Town};
use jiff::Timestamp;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

#[tokio::test]
async fn a_feed_not_yet_allowed_says_when_it_will_be_and_nothing_is_asked() {
    let town = Town::with_interval("1h").await;
    town.put(1);
    let said = town.say(&["poll", "*/acquittements"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.out, "fast/mairie/acquittements: ok, 1 listed, 1 fetched, 0 failed\n");
    let requests = town.platform.requests().len();

    town.put(2);
    let said = town.say(&["poll", "fast/mairie/acquittements"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let listed: Timestamp = town.value("SELECT max(last_listed_at) FROM feeds").await.parse().unwrap();
    let allowed =
        (listed + jiff::SignedDuration::from_hours(1)).to_zoned(jiff::tz::TimeZone::get("Europe/Paris").unwrap());
    let line =
        format!("fast/mairie/acquittements: may not be listed before {} (Paris)\n", allowed.strftime("%F %H:%M:%S"));
    assert_eq!(said.out, line);
    assert_eq!(town.platform.requests().len(), requests, "a new process knows what the last one did");

    // The other two are due within the minute that new feeds are spread over, or were so at once.
    let said = town.say(&["poll", "fast/mairie"]).await;
    assert!(said.out.contains("acquittements: may not be listed before"), "{said:?}");
    assert!(said.out.contains("fast/mairie/chorus: ok") && said.out.contains("fast/mairie/pes-retour: ok"), "{said:?}");
    let said = town.say(&["poll"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "no feed is due; `vaguemestre plan` shows when each will be\n"));
}

#[tokio::test]
async fn one_feed_that_failed_makes_75_and_leaves_a_row_for_each_pass() {
    let town = Town::with_interval("1ms").await;
    town.put(1);
    town.platform.put(SIREN, Kind::Chorus, 2, common::sample(Kind::Chorus, 2, 2000));
    town.platform.put(SIREN, Kind::Chorus, 3, common::sample(Kind::Chorus, 3, 2000));
    town.platform.set_fault(Matcher::listing(SIREN, Kind::PesRetour), Fault::HtmlWith200, Times::Once);
    town.platform.set_fault(Matcher::download(3), Fault::Empty200, Times::Once);
    let said = town.say(&["poll", "fast/*"]).await;
    assert_eq!(said.code, 75, "{said:?}");
    let mut lines: Vec<&str> = said.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines[0], "fast/mairie/acquittements: ok, 1 listed, 1 fetched, 0 failed");
    assert!(lines[1].starts_with("fast/mairie/chorus: partial, 2 listed, 1 fetched, 1 failed: 3: "), "{lines:?}");
    assert!(lines[2].starts_with("fast/mairie/pes-retour: failed, 0 fetched, 0 failed: the listing cannot be read"));

    let rows = town
        .query(
            "SELECT feed, outcome, listed, fetched, failed, error IS NULL, started_at <= finished_at FROM polls ORDER BY feed",
        )
        .await;
    let expected = [
        ["fast/mairie/acquittements", "ok", "1", "1", "0", "1", "1"],
        ["fast/mairie/chorus", "partial", "2", "1", "1", "0", "1"],
        ["fast/mairie/pes-retour", "failed", "", "0", "0", "0", "1"],
    ];
    assert_eq!(rows, expected);
    let poll = "SELECT polls.feed FROM documents JOIN polls ON polls.id = poll_id WHERE remote_id = '2'";
    assert_eq!(town.value(poll).await, "fast/mairie/chorus", "a document names the poll that brought it");
    let feeds = town
        .query("SELECT feed, last_outcome, consecutive_failures, failing_since IS NULL, last_success_at IS NULL FROM feeds ORDER BY 1")
        .await;
    let expected = [
        ["fast/mairie/acquittements", "ok", "0", "1", "0"],
        ["fast/mairie/chorus", "partial", "0", "1", "0"],
        ["fast/mairie/pes-retour", "failed", "1", "0", "1"],
    ];
    assert_eq!(feeds, expected);

    assert_eq!(town.say(&["poll", "fast/*"]).await.code, 0, "once nothing fails any more");
    assert_eq!(town.value("SELECT count(*) FROM feeds WHERE failing_since IS NULL AND last_error IS NULL").await, "3");
}

#[tokio::test]
async fn a_selector_that_means_nothing_is_an_error() {
    let town = Town::with_interval("1ms").await;
    let said = town.say(&["poll", "fast/marie"]).await;
    assert!(said.code == 1 && said.out.contains("no feed of the configuration matches fast/marie"), "{said:?}");
    let said = town.say(&["poll", "fast/[mairie"]).await;
    assert!(said.code == 1 && said.out.contains("fast/[mairie"), "{said:?}");
    assert!(town.platform.requests().is_empty());
}

#[tokio::test]
async fn an_operators_poll_is_recorded_with_who_gave_it() {
    let town = Town::with_interval("1ms").await;
    town.say(&["poll", "*/chorus"]).await;
    let rows = town.query("SELECT command, actor <> '', detail, at FROM operator_actions").await;
    assert_eq!((rows.len(), rows[0][0].as_str(), rows[0][1].as_str()), (1, "poll", "1"));
    assert!(rows[0][2].contains("*/chorus"), "{rows:?}");
    assert!(rows[0][3].ends_with('Z') && rows[0][3].len() == 24, "RFC 3339 UTC with milliseconds: {rows:?}");
}

#[tokio::test]
async fn a_running_daemon_is_handed_the_order_and_its_rules_hold() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("1h", "", &format!("{mairie}feeds = [\"acquittements\"]\n"));
    town.put(1);
    let daemon = town.start().await;
    town.wait_value("SELECT state FROM documents", "delivered").await;
    town.wait_value("SELECT outcome FROM polls", "ok").await;
    town.put(2);
    let said = town.say(&["poll", "fast/mairie"]).await;
    assert!(said.code == 0 && said.out.contains("may not be listed before"), "{said:?}");
    assert_eq!(town.listings(), 1);
    assert_eq!(daemon.wait_event("operator.command").await["command"], "poll");

    // What needs no listing needs no waiting either.
    let said = town.say(&["retry", "fast/mairie/acquittements", "1", "--again"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    town.wait_value("SELECT state FROM documents WHERE remote_id = '1'", "delivered").await;
    assert_eq!((town.platform.downloads_of(1), town.listings()), (2, 1));
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_poll_without_a_state_directory_makes_one() {
    let town = Town::with_interval("1ms").await;
    town.put(1);
    assert!(!town.state().exists());
    let said = town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.state_of(1).await, "delivered");
}

#[tokio::test]
async fn the_start_and_the_next_due_time_are_in_the_ledger_before_the_request_leaves() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("1h", "", &format!("{mairie}feeds = [\"acquittements\"]\n"));
    let config = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), config.replace("jitter = \"0s\"", "jitter = \"10m\"")).unwrap();
    town.platform.set_fault(Matcher::listings(), Fault::Hang, Times::Always);
    let daemon = Daemon::spawn(town.command(&["poll", "fast/mairie"]), town.folder.path());
    town.platform.wait_for(|records| !records.is_empty()).await;
    let row = town.query("SELECT last_listed_at, next_poll_at FROM feeds").await.remove(0);
    let asked = town.platform.requests()[0].at;
    daemon.kill().await;
    let [listed, next] = [&row[0], &row[1]].map(|text| text.parse::<Timestamp>().unwrap());
    let pause = next.duration_since(listed);
    assert!(listed <= asked && asked.duration_since(listed).as_secs() < 10, "{row:?}, asked at {asked}");
    assert!(pause.as_mins() >= 60 && pause.as_secs() <= 70 * 60 + 60, "{row:?}");

    town.platform.clear_faults();
    let said = town.say(&["poll", "fast/mairie"]).await;
    assert!(said.code == 0 && said.out.contains("may not be listed before"), "after a kill all the same: {said:?}");
    assert_eq!(town.listings(), 1);
    let row = town.query("SELECT outcome, finished_at IS NULL FROM polls").await;
    assert_eq!(row, [["interrupted", "0"]]);
}
