//! SIGHUP: a changed configuration is taken up whole or not at all, without a restart.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{SIREN, Town};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;

const OTHER: &str = "552032534";

#[tokio::test]
async fn a_new_account_is_polled_and_unchanged_feeds_notice_nothing() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("30m", "", &mairie);
    town.platform.put(SIREN, Kind::Chorus, 1, common::sample(Kind::Chorus, 1, 500));
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM polls WHERE outcome = 'ok'", "3").await;
    let planned = town.query("SELECT feed, next_poll_at FROM feeds ORDER BY feed").await;
    town.configure("30m", "", &format!("{mairie}{}", town.account("ccas", OTHER, Standing::Valid)));
    town.platform.put(OTHER, Kind::Chorus, 2, common::sample(Kind::Chorus, 2, 500));
    daemon.signal("HUP");
    daemon.wait_event("config.reloaded").await;
    town.wait_value("SELECT state FROM documents WHERE remote_id = '2'", "delivered").await;
    let after = town.query("SELECT feed, next_poll_at FROM feeds WHERE account = 'fast/mairie' ORDER BY feed").await;
    assert_eq!(after, planned);
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_configuration_with_errors_is_rejected_and_the_old_one_stays() {
    let town = Town::with_interval("1s").await;
    let daemon = town.start().await;
    let good = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), good.replace("interval = \"1s\"", "interval = \"soon\"")).unwrap();
    daemon.signal("HUP");
    daemon.wait_event("config.rejected").await;
    let said: Vec<String> = daemon.events("config.rejected").iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|line| line.contains("schedule.interval")), "{said:#?}");
    town.platform.put(SIREN, Kind::Chorus, 3, common::sample(Kind::Chorus, 3, 500));
    town.wait_value("SELECT state FROM documents WHERE remote_id = '3'", "delivered").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_feed_taken_out_is_shown_as_retired_and_polled_no_more() {
    let town = Town::bare().await;
    let (mairie, ccas) = (town.account("mairie", SIREN, Standing::Valid), town.account("ccas", OTHER, Standing::Valid));
    town.configure("1s", "", &format!("{mairie}{ccas}"));
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) > 0 FROM polls WHERE feed = 'fast/ccas/chorus' AND outcome = 'ok'", "1").await;
    town.configure("1s", "", &mairie);
    daemon.signal("HUP");
    daemon.wait_event("config.reloaded").await;
    town.wait_value("SELECT count(*) FROM feeds WHERE claimed_by IS NOT NULL AND account = 'fast/ccas'", "0").await;
    let before = town.platform.requests().len();
    let listed = town.value("SELECT max(id) FROM polls WHERE feed LIKE 'fast/ccas/%'").await;
    town.platform.wait_for(|records| records.len() > before + 6).await;
    assert_eq!(town.value("SELECT max(id) FROM polls WHERE feed LIKE 'fast/ccas/%'").await, listed);
    let status = town.run(&["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let retired = status["feeds"].as_array().unwrap().iter().filter(|feed| feed["health"] == "retired").count();
    assert_eq!(retired, 3);
    assert_eq!(status["healthy"], true);
    assert!(daemon.stop().await.success());
}
