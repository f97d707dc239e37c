//! What is kept, and for how long: copies go once nobody waits for them, what was held is never downloaded again, and an account
//! that leaves takes all of its own with it.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::by_hand::mode;
use common::{SIREN, Town};
use vaguemestre::clock::{Clock as _, SystemClock};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;

const FEED: &str = "fast/mairie/acquittements";
const LONG_AGO: &str = "'2026-01-01T00:00:00.000Z'";

/// Documents 1 to `count`, delivered, in an archive that keeps a day; feeds are listed once an hour from now on.
async fn collected(count: u64) -> Town {
    let town = Town::by_hand("", "", "[archive]\nkeep = \"1d\"\n").await;
    for number in 1..=count {
        town.put(number);
    }
    assert_eq!(town.poll().await.code, 0);
    town.list_once_an_hour();
    town
}

async fn copy_of(town: &Town, id: u64) -> PathBuf {
    town.state().join(town.about(id, "archive_path").await)
}

/// Lets the daemon run until it has purged something.
async fn purge(town: &Town) -> serde_json::Value {
    let daemon = town.start().await;
    let event = daemon.wait_event("archive.purged").await;
    assert!(daemon.stop().await.success());
    event
}

fn age(path: &Path, days: u64) {
    let at = std::time::SystemTime::from(SystemClock::new().now()) - Duration::from_secs(days * 86_400);
    std::fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
}

#[tokio::test]
async fn old_copies_that_nobody_waits_for_are_purged_and_never_downloaded_again() {
    let town = collected(6).await;
    let mut copies = BTreeMap::new();
    for id in 1..=6 {
        copies.insert(id, copy_of(&town, id).await);
    }
    town.query(&format!("UPDATE documents SET stored_at = {LONG_AGO} WHERE remote_id <> '2'")).await;
    town.query("UPDATE documents SET state = 'stored' WHERE remote_id IN ('3', '4')").await;
    town.query(
        "UPDATE deliveries SET state = 'failed', next_try_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+30 minutes') \
                WHERE remote_id = '3'",
    )
    .await;
    town.query("UPDATE deliveries SET state = 'abandoned' WHERE remote_id = '4'").await;
    town.query("UPDATE documents SET release = 'stored' WHERE remote_id = '5'").await;
    let event = purge(&town).await;
    assert_eq!(event["copies"], 3);
    for (id, kept) in [(1, false), (2, true), (3, true), (4, false), (5, true), (6, false)] {
        assert_eq!(
            copies[&id].exists(),
            kept,
            "{id}: young, awaited by a target or to be removed from the platform stays"
        );
        let row = town.about(id, "archive_path IS NOT NULL, purged_at IS NULL, sha256 IS NOT NULL").await;
        let expected = if kept { "1 1 1" } else { "0 0 1" };
        assert_eq!(row, expected, "{id}");
    }
    let said = town.say(&["verify"]).await;
    assert!(said.code == 0 && said.out.contains("3 copies read: 3 sound, 0 missing, 0 damaged"), "{said:?}");
    town.query(&format!(
        "UPDATE feeds SET last_listed_at = {LONG_AGO}, next_poll_at = {LONG_AGO}, last_listed_boot_id = NULL"
    ))
    .await;
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.downloads(), 6, "what was held is not asked for, though it is still listed");
    let said = town.say(&["replay", FEED, "1"]).await;
    assert!(said.code == 1 && said.out.contains("purged after [archive] keep"), "{said:?}");
    let shown = town.say(&["show", "1"]).await;
    assert!(shown.out.contains("purged:") && !shown.out.contains("archive:"), "{shown:?}");
}

#[tokio::test]
async fn a_purged_document_can_be_downloaded_again_deliberately() {
    let town = collected(1).await;
    let bytes = std::fs::read(copy_of(&town, 1).await).unwrap();
    town.query(&format!("UPDATE documents SET stored_at = {LONG_AGO}")).await;
    purge(&town).await;
    town.query("DELETE FROM deliveries").await;
    let said = town.say(&["retry", FEED, "1", "--again"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    town.say(&["poll"]).await;
    assert_eq!(town.about(1, "state, purged_at").await, "delivered ");
    assert_eq!(std::fs::read(copy_of(&town, 1).await).unwrap(), bytes);
    assert_eq!(town.downloads(), 2);
}

#[tokio::test]
async fn a_purged_document_that_its_platform_no_longer_has_stays_held() {
    let town = collected(1).await;
    town.query(&format!("UPDATE documents SET stored_at = {LONG_AGO}")).await;
    purge(&town).await;
    town.platform.remove(Kind::Acquittements, 1);
    assert_eq!(town.say(&["retry", FEED, "1", "--again"]).await.code, 0);
    town.say(&["poll"]).await;
    assert_eq!(town.downloads(), 2);
    assert_eq!(town.about(1, "state, purged_at IS NOT NULL").await, "delivered 1");
}

#[tokio::test]
async fn the_latest_version_of_each_subject_stays_however_old_it_is() {
    let town = collected(3).await;
    town.query(&format!("UPDATE documents SET stored_at = {LONG_AGO}, subject = 'suivi'")).await;
    purge(&town).await;
    let kept = town.query("SELECT remote_id FROM documents WHERE archive_path IS NOT NULL").await;
    let latest = town.query("SELECT remote_id FROM documents ORDER BY id DESC LIMIT 1").await;
    assert_eq!(kept, latest);
}

#[tokio::test]
async fn a_removal_that_a_crash_cut_short_is_finished_and_cries_no_wolf() {
    let town = collected(3).await;
    let (first, second) = (copy_of(&town, 1).await, copy_of(&town, 2).await);
    town.query("UPDATE documents SET purged_at = '2026-06-01T00:00:00.000Z' WHERE remote_id IN ('1', '2')").await;
    std::fs::remove_file(&second).unwrap();
    let said = town.say(&["verify"]).await;
    assert!(said.code == 0 && said.out.contains("1 copies read: 1 sound"), "{said:?}");
    let ledger = town.shared("copy.sqlite");
    town.query(&format!("VACUUM INTO '{}'", ledger.display())).await;
    let said = town.say(&["restore", ledger.to_str().unwrap()]).await;
    assert!(
        said.out.contains("0 documents of the archive that it did not know"),
        "given up is not forgotten: {said:?}"
    );
    // With what it says of itself, as a backup of the archive has it.
    let saved = town.shared("saved.xml");
    let cp = |from: &Path, to: &Path| std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(cp(&first, &saved).success());
    assert_eq!(purge(&town).await["copies"], 2);
    assert!(!first.exists() && copy_of(&town, 3).await.exists());
    assert_eq!(
        town.value("SELECT count(*) FROM documents WHERE archive_path IS NULL AND purged_at IS NOT NULL").await,
        "2"
    );
    assert!(cp(&saved, &first).success());
    std::fs::remove_file(&ledger).unwrap();
    town.query(&format!("VACUUM INTO '{}'", ledger.display())).await;
    let said = town.say(&["restore", ledger.to_str().unwrap()]).await;
    assert!(said.out.contains("0 documents of the archive that it did not know"), "what was purged is held: {said:?}");
}

#[tokio::test]
async fn what_was_set_aside_and_old_ledgers_go_unless_somebody_may_still_ask_for_them() {
    let town = collected(3).await;
    let quarantine = town.state().join("archive/quarantine");
    let put = |folder: &Path, name: &str, days: u64| {
        std::fs::write(folder.join(name), "x").unwrap();
        age(&folder.join(name), days);
    };
    for (name, days) in [("abandoned", 3), ("dismissed", 3), ("nobodys", 3), ("young", 0)] {
        put(&quarantine, name, days);
    }
    for (id, state) in [(1, "abandoned"), (2, "dismissed")] {
        town.query(&format!(
            "UPDATE documents SET state = '{state}', archive_path = NULL, quarantine_path = 'archive/quarantine/{state}' \
             WHERE remote_id = '{id}'"
        ))
        .await;
    }
    for (name, days) in [
        ("ledger.sqlite.replaced-20260101T000000Z", 0),
        ("ledger.sqlite.replaced-20260101T000000Z-wal", 0),
        ("ledger.sqlite.replaced-29990101T000000Z", 400),
        ("ledger.sqlite.before-3", 3),
        ("ledger.sqlite.before-5", 0),
    ] {
        put(&town.state(), name, days);
    }
    let event = purge(&town).await;
    assert_eq!((&event["set_aside"], &event["ledgers"]), (&2.into(), &3.into()));
    assert_eq!(common::files(&quarantine), ["abandoned", "young"].map(PathBuf::from));
    assert_eq!(town.about(1, "quarantine_path").await, "archive/quarantine/abandoned");
    assert_eq!(town.about(2, "quarantine_path").await, "");
    let there = |name: &str| town.state().join(name).exists();
    assert!(there("ledger.sqlite.replaced-29990101T000000Z") && there("ledger.sqlite.before-5"));
    assert!(!there("ledger.sqlite.replaced-20260101T000000Z-wal") && !there("ledger.sqlite.before-3"));
    assert!(there("ledger.sqlite"));
}

#[tokio::test]
async fn an_account_is_exported_with_a_table_while_the_daemon_runs() {
    let town = collected(3).await;
    std::fs::remove_dir_all(town.inbox()).unwrap();
    town.query(&format!("UPDATE documents SET stored_at = {LONG_AGO} WHERE remote_id = '3'")).await;
    let daemon = town.start().await;
    daemon.wait_event("archive.purged").await;
    let asked = town.platform.requests().len();
    let folder = town.shared("export");
    let said = town.say(&["export", "fast/mairie", folder.to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("2 documents copied") && said.out.contains("1 have no copy"), "{said:?}");
    assert!(daemon.stop().await.success());
    assert!(town.platform.requests().len() - asked <= 1, "nothing but the poll that was due anyway");
    let names = ["documents.csv".to_owned(), format!("{FEED}/1-PES1.xml"), format!("{FEED}/2-PES2.xml")];
    assert_eq!(common::files(&folder), names.clone().map(PathBuf::from));
    let copy = std::fs::read(folder.join(&names[1])).unwrap();
    assert_eq!(copy, std::fs::read(copy_of(&town, 1).await).unwrap());
    assert_eq!(mode(&folder.join(&names[1])), 0o640);
    let table = std::fs::read_to_string(folder.join("documents.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("feed,id,name,") && lines[0].ends_with(",outcome,file"), "{table}");
    assert_eq!(lines.len(), 4);
    let of = |id: u64| *lines.iter().find(|line| line.starts_with(&format!("{FEED},{id},"))).unwrap();
    assert!(of(1).ends_with(&format!(",accepted,{}", names[1])) && of(3).ends_with(",accepted,"), "{table}");

    let again = town.say(&["export", "fast/mairie", folder.to_str().unwrap()]).await;
    assert!(again.code == 1 && again.err.contains("it is not empty"), "{again:?}");
    let stranger = town.say(&["export", "fast/ecole", town.shared("other").to_str().unwrap()]).await;
    assert!(stranger.code == 1 && stranger.err.contains("no account fast/ecole"), "{stranger:?}");
    assert!(!town.shared("other").exists());
}

/// Two accounts that have collected; `ecole` is then taken out of the configuration.
async fn after_a_departure() -> Town {
    let town = Town::bare().await;
    let other = "732829320";
    let tables = |names: &[(&str, &str)]| -> String {
        names
            .iter()
            .map(|(name, siren)| format!("{}feeds = [\"acquittements\"]\n", town.account(name, siren, Standing::Valid)))
            .collect()
    };
    let both = tables(&[("mairie", SIREN), ("ecole", other)]);
    town.configure("1ms", "", &both);
    town.put(1);
    town.platform.put(other, Kind::Acquittements, 2, common::sample(Kind::Acquittements, 2, 900));
    assert_eq!(town.poll().await.code, 0);
    let said = town.say(&["forget", "fast/ecole", "--yes"]).await;
    assert!(said.code == 1 && said.out.contains("is in the configuration"), "{said:?}");
    let config = std::fs::read_to_string(town.config()).unwrap();
    let from = config.rfind("[[fast.accounts]]").unwrap();
    std::fs::write(town.config(), &config[..from]).unwrap();
    town.list_once_an_hour();
    town
}

#[tokio::test]
async fn an_account_that_has_left_is_forgotten_and_the_others_stay() {
    let town = after_a_departure().await;
    let copy = town.state().join(town.about(2, "archive_path").await);
    let daemon = town.start().await;
    let said = town.say(&["forget", "fast/ecole"]).await;
    assert!(said.code == 1 && said.out.contains("1 documents of fast/ecole/acquittements, 1 copies"), "{said:?}");
    assert!(said.out.contains("vaguemestre forget fast/ecole --yes") && copy.exists(), "{said:?}");
    let aside = town.state().join("archive/quarantine/2.part");
    std::fs::write(&aside, "x").unwrap();
    town.query("UPDATE documents SET quarantine_path = 'archive/quarantine/2.part' WHERE remote_id = '2'").await;
    town.query("UPDATE feeds SET claimed_by = 'a poll' WHERE account = 'fast/ecole'").await;
    let busy = town.say(&["forget", "fast/ecole", "--yes"]).await;
    assert!(busy.code == 1 && busy.out.contains("is being polled this moment") && copy.exists(), "{busy:?}");
    town.query("UPDATE feeds SET claimed_by = NULL WHERE account = 'fast/ecole'").await;
    let said = town.say(&["forget", "fast/ecole", "--yes"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(daemon.stop().await.success());
    assert!(!copy.exists() && !aside.exists() && !town.state().join("archive/fast/ecole").exists());
    for table in ["documents", "deliveries", "feeds", "polls"] {
        let feeds = town.query(&format!("SELECT DISTINCT feed FROM {table}")).await;
        assert_eq!(feeds, [[FEED]], "{table}");
    }
    assert_eq!(town.query("SELECT account FROM accounts").await, [["fast/mairie"]]);
    assert!(copy_of(&town, 1).await.exists());
    let actions = town.query("SELECT command FROM operator_actions WHERE command = 'forget'").await;
    assert_eq!(actions.len(), 3, "what was asked for with --yes");
    let unknown = town.say(&["forget", "fast/ecole", "--yes"]).await;
    assert!(unknown.code == 1 && unknown.out.contains("knows no account fast/ecole"), "{unknown:?}");
}

#[tokio::test]
async fn an_account_can_be_forgotten_without_a_daemon_too() {
    let town = after_a_departure().await;
    assert_eq!(town.say(&["forget", "fast/ecole", "--yes"]).await.code, 0);
    assert_eq!(town.query("SELECT feed FROM feeds").await, [[FEED]]);
    assert_eq!(town.say(&["verify"]).await.code, 0);
}
