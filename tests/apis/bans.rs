//! Quotas as the server counts them, and the ban.

use super::{Region, SIRENS, unites_legales};

#[tokio::test]
async fn a_quota_smaller_than_expected_is_learned_from_the_first_answer_and_never_exceeded() {
    let region = Region::open().await;
    region.entreprise.adjust(|conduct| conduct.limits = (3, 3, 3));
    region.watch("100%", &unites_legales(&SIRENS, ""));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) >= 3 FROM calls WHERE status = 200", "1").await;
    let (status, _) = region.town.status().await;
    let quotas = status["quotas"].as_array().unwrap();
    let json = quotas.iter().find(|quota| quota["bucket"] == "marches/json").unwrap();
    assert_eq!(json["per_minute"], 3, "{status}");
    assert!(daemon.stop().await.success());
    assert!(region.entreprise.most_in_a_minute() <= 3);
    assert!(region.entreprise.calls().iter().all(|call| call.status == 200));
}

#[tokio::test]
async fn after_a_restart_the_minute_in_progress_is_left_alone() {
    let region = Region::open().await;
    region.watch("100%", &unites_legales(&SIRENS[..3], ""));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) FROM calls WHERE status = 200", "3").await;
    daemon.kill().await;
    region.watch("100%", &unites_legales(&SIRENS, ""));
    let before = region.entreprise.calls().last().unwrap().at;
    let daemon = region.town.start().await;
    // A minute of the server may pass before the next call.
    let reached = tokio::time::timeout(std::time::Duration::from_secs(100), async {
        while region.entreprise.calls().len() < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    });
    reached.await.unwrap();
    let after = region.entreprise.calls()[3].at;
    assert!(after.as_second() / 60 > before.as_second() / 60, "{before} {after}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn silence_is_a_ban_that_outlives_a_restart_is_probed_and_can_be_lifted() {
    let region = Region::open().await;
    region.entreprise.ban();
    region.watch("100%", &unites_legales(&SIRENS, "timeout = \"500ms\""));
    let daemon = region.town.start().await;
    let ban = daemon.wait_event("ban.suspected").await;
    assert_eq!(ban["level"], "ERROR", "{ban}");
    region.town.wait_value("SELECT outcome FROM polls ORDER BY id LIMIT 1", "failed").await;
    let (status, code) = region.town.status().await;
    assert_eq!(code, Some(1));
    assert!(status["ban"]["since"].is_string() && status["summary"].as_str().unwrap().contains("BANNED"), "{status}");
    daemon.kill().await;
    let pings = region.entreprise.pings().len();
    let daemon = region.town.start().await;
    region.town.run(&["poll", "entreprise/*"]).await;
    assert_eq!(region.entreprise.pings().len(), pings, "one an hour");
    region.entreprise.lift();
    let calls = region.entreprise.calls().len();
    assert_eq!(calls, region.entreprise.calls().len());
    let lifted = region.town.run(&["lift", "entreprise/marches"]).await;
    assert!(lifted.status.success(), "{lifted:?}");
    daemon.wait_event("ban.lifted").await;
    let action = region.town.value("SELECT command FROM operator_actions WHERE command = 'lift'").await;
    assert_eq!(action, "lift");
    assert_eq!(region.town.value("SELECT suspected_at IS NULL FROM bans").await, "1");
    assert!(daemon.stop().await.success());
    let unknown = region.town.run(&["lift", "entreprise/nobody"]).await;
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test]
async fn a_network_that_is_down_is_no_ban() {
    let region = Region::open().await;
    region.watch("100%", &unites_legales(&SIRENS, "hours = \"00:00-24:00\"\nevery = \"1h\""));
    let text = std::fs::read_to_string(region.town.config()).unwrap();
    let schedule = "[schedule]\ninterval = \"30m\"\njitter = \"1m\"\navoid_hour = \"1m\"\n";
    let entreprise =
        text.split_once("[entreprise]").unwrap().1.replace(&region.entreprise.url(), "https://entreprise.invalid");
    let text = format!(
        "[state]\ndirectory = \"state\"\nreserve = \"1MiB\"\n{schedule}[log]\nformat = \"json\"\n[entreprise]{entreprise}"
    );
    std::fs::write(region.town.config(), text).unwrap();
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT outcome FROM polls", "failed").await;
    let error = region.town.value("SELECT last_error FROM feeds").await;
    assert!(error.contains("the network seems down"), "{error}");
    assert!(daemon.events("ban.suspected").is_empty());
    assert!(region.town.status().await.0["ban"].is_null());
    assert!(daemon.stop().await.success());
}
