//! What is amiss with the daemon itself.

use super::*;

#[tokio::test]
async fn what_is_amiss_with_the_daemon_itself_is_told_everywhere_until_it_is_mended() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("[admin]\nlisten = \"{}\"\n", taken.local_addr().unwrap());
    let tables = town.account("mairie", SIREN, Standing::Valid) + &told_by(&hook, "");
    town.configure("1s", "", &(tables.clone() + &admin));
    let daemon = town.start().await;
    let alert = wait_for(&hook, "admin_failed", "raised").await;
    assert!(alert["remedy"].as_str().unwrap().contains("correct [admin] listen"), "{alert}");
    town.configure("1s", "", &(tables.clone() + "[shedule]\n"));
    daemon.signal("HUP");
    let alert = wait_for(&hook, "config_rejected", "raised").await;
    assert!(alert["message"].as_str().unwrap().contains("the old one stays"), "{alert}");
    town.configure("1s", "", &tables);
    let (status, code) = town.status().await;
    let kinds: Vec<&str> =
        status["troubles"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"admin_failed") && kinds.contains(&"config_rejected"), "{status}");
    assert_eq!(code, Some(0), "it collects all the same");
    daemon.signal("HUP");
    wait_for(&hook, "config_rejected", "cleared").await;
    wait_for(&hook, "admin_failed", "cleared").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_cannot_be_written_is_told_once_all_the_same() {
    if !strace::is_here() {
        return;
    }
    let town = Town::bare().await;
    let hook = Hook::open().await;
    town.configure("1s", "", &(town.account("mairie", SIREN, Standing::Valid) + &told_by(&hook, "")));
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "3").await;
    let log = town.state().join("ledger.sqlite-wal");
    let options = strace::injecting("pwrite64", "error=ENOSPC", "1+", Some(&log));
    let strace = strace::Attached::to(daemon.id(), &options).await;
    let alert = wait_for(&hook, "ledger_failed", "raised").await;
    assert!(alert["remedy"].as_str().unwrap().contains("df -h"), "{alert}");
    fence(&town, &daemon, &hook).await;
    assert_eq!(alerts(&hook).iter().filter(|it| it["kind"] == "ledger_failed").count(), 1, "{:?}", alerts(&hook));
    strace.detach().await;
    daemon.signal("HUP");
    town.wait_value("SELECT count(*) FROM conditions", "0").await;
    let (status, _) = town.status().await;
    let kinds: Vec<&Value> = status["troubles"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert!(kinds.iter().all(|kind| *kind != "ledger_failed"), "{status}");
    assert!(daemon.stop().await.success());
}
