//! The ledger lost: put back from a copy, it asks for nothing that the archive holds, and for nothing too early.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::path::PathBuf;

use common::by_hand::mode;
use common::shop::{Shop, Way};
use common::{SIREN, Town, shares, strace};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Etags};

fn backups(town: &Town) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> =
        std::fs::read_dir(town.state().join("backup")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// A copy of the ledger as it is now, as a person makes one.
async fn copy_of(town: &Town) -> PathBuf {
    let copy = town.folder.path().join("copy.sqlite");
    town.query(&format!("VACUUM INTO '{}'", copy.display())).await;
    copy
}

#[tokio::test]
async fn the_daemon_copies_its_ledger_once_a_day_for_its_owner_alone_and_keeps_a_week() {
    let town = Town::by_hand("", "", "").await;
    town.put(1);
    town.poll().await;
    let folder = town.state().join("backup");
    std::fs::create_dir(&folder).unwrap();
    for day in 10..20 {
        std::fs::write(folder.join(format!("ledger-202611{day}T001711Z.sqlite")), "an old one").unwrap();
    }
    std::fs::write(folder.join("notes.txt"), "of somebody").unwrap();
    let daemon = town.start().await;
    daemon.wait_event("backup.done").await;
    assert!(daemon.stop().await.success());
    let found = backups(&town);
    assert_eq!(found.len(), 8, "seven, and what is none: {found:?}");
    let newest = &found[6];
    assert_eq!(mode(newest), 0o600);
    let rows = common::query_file(newest, "SELECT remote_id FROM documents WHERE archive_path IS NOT NULL").await;
    assert_eq!(rows, [["1"]]);
    let daemon = town.start().await;
    daemon.wait_event("daemon.ready").await;
    town.say(&["poll"]).await;
    assert!(daemon.stop().await.success());
    assert_eq!(backups(&town), found, "once a day");
}

#[tokio::test]
async fn what_the_archive_holds_beyond_the_copy_is_recorded_and_handed_over_again() {
    for way in [Way::Rest, Way::Webdav] {
        let shop = Shop::open(way, "1ms", "").await;
        let town = &shop.town;
        shop.put(Kind::Acquittements, 1, 900);
        assert_eq!(town.poll().await.code, 0);
        let copy = copy_of(town).await;
        shop.put(Kind::Acquittements, 2, 900);
        shop.put(Kind::Chorus, 3, 100_000);
        assert_eq!(town.poll().await.code, 0);
        let kept = shop.kept().await;
        std::fs::write(town.state().join("ledger.sqlite"), "the disk broke").unwrap();
        for path in town.inbox_files() {
            std::fs::remove_file(town.inbox().join(path)).unwrap();
        }
        let said = town.say(&["restore", copy.to_str().unwrap()]).await;
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("2 documents of the archive that it did not know are recorded"), "{said:?}");
        assert_eq!(shop.kept().await, kept);
        let asked = town.platform.requests().len();
        let said = town.poll().await;
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(
            town.inbox_files().len(),
            2,
            "those it did not know, for nobody knows whether they were handed over"
        );
        assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "3");
        let downloads = town.platform.requests()[asked..].iter().filter(|it| it.call == Some(Call::Download)).count();
        assert_eq!(downloads, 0, "what is held is not asked for");
        std::fs::remove_dir(town.state().join("archive/quarantine")).unwrap();
        std::fs::write(town.state().join("archive/.incoming/7.part"), "what was arriving").unwrap();
        let said = town.say(&["restore", copy.to_str().unwrap()]).await;
        assert!(said.out.contains("1 file that had not fully arrived went to archive/quarantine"), "{said:?}");
        let action = town.value("SELECT command FROM operator_actions ORDER BY id DESC LIMIT 1").await;
        assert_eq!(action, "restore");
        let aside = std::fs::read_dir(town.state()).unwrap().map(|it| it.unwrap().file_name().into_string().unwrap());
        assert!(aside.into_iter().any(|name| name.starts_with("ledger.sqlite.replaced-")), "nothing was overwritten");
    }
}

#[tokio::test]
async fn what_was_told_apart_by_what_it_is_belongs_to_its_feed_without_the_ledger_as_well() {
    let town = shares::town("feeds = [\"acquittements\", \"signes\"]", "").await;
    shares::ok(&town).await;
    let copy = copy_of(&town).await;
    // It was listed with the acknowledgements, and is none.
    town.platform.put_file(SIREN, "PES/marché signé.pdf", common::sample(Kind::Signes, 7, 4000));
    shares::ok(&town).await;
    let held = "SELECT feed, remote_id, archive_path FROM documents";
    let before = town.query(held).await;
    assert_eq!(before[0][0], "fast/mairie/signes");
    let said = town.say(&["restore", copy.to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.query(held).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_file_cannot_say_what_it_is_something_beside_it_does() {
    if !strace::is_here() {
        return;
    }
    let town = Town::by_hand("", "", "").await;
    assert_eq!(town.poll().await.code, 0);
    let copy = copy_of(&town).await;
    town.put(1);
    let options = strace::injecting("setxattr,lsetxattr,fsetxattr", "error=EOPNOTSUPP", "1+", None);
    let output = strace::run(strace::under(&options, &town.command(&["poll", "fast/*"]))).await;
    assert_eq!(output.status.code(), Some(0), "{}", common::complained(&output));
    let place = town.state().join(town.value("SELECT archive_path FROM documents").await);
    assert!(place.with_file_name(".1.xml.about").exists());
    let said = town.say(&["restore", copy.to_str().unwrap()]).await;
    assert!(said.out.contains("1 document of the archive that it did not know is recorded"), "{said:?}");
    let asked = town.platform.requests().len();
    assert_eq!(town.poll().await.code, 0);
    let downloads = town.platform.requests()[asked..].iter().filter(|it| it.call == Some(Call::Download)).count();
    assert_eq!((town.state_of(1).await.as_str(), downloads), ("delivered", 0));
}

#[tokio::test]
async fn files_that_still_lie_on_the_platform_are_removed_by_the_restored_ledger() {
    let town = shares::town("feeds = [\"acquittements\"]", "").await;
    town.platform.adjust(|it| it.dialect.etags = Etags::Strong);
    shares::ok(&town).await;
    let copy = copy_of(&town).await;
    town.platform.put_file(SIREN, "PES/Été/a 1.xml", shares::acquittement(1));
    let locked = vaguemestre::simulator::Fault::Status(423, "no".into(), Vec::new());
    let times = vaguemestre::simulator::Times::Always;
    town.platform.set_fault(vaguemestre::simulator::Matcher::releases(), locked, times);
    shares::ok(&town).await;
    town.platform.clear_faults();
    assert_eq!(town.say(&["restore", copy.to_str().unwrap()]).await.code, 0);
    let facts = town.query("SELECT circuit, label, state FROM documents").await;
    assert_eq!(facts, [["PES", "Été", "stored"]]);
    shares::ok(&town).await;
    assert_eq!(shares::of(&town, Call::Download).len(), 1);
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
}

#[tokio::test]
async fn no_feed_is_listed_before_an_interval_has_passed_since_the_ledger_was_put_back() {
    let town = Town::with_interval("1h").await;
    town.put(1);
    assert_eq!(town.poll().await.code, 0);
    let copy = copy_of(&town).await;
    // As if it were an old copy: everything was due long ago.
    let old = "UPDATE feeds SET next_poll_at = '2026-01-01T00:00:00.000Z', last_listed_at = '2026-01-01T00:00:00.000Z'";
    common::query_file(&copy, old).await;
    let said = town.say(&["restore", copy.to_str().unwrap()]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let listed = town.listings();
    let said = town.poll().await;
    assert!(said.out.contains("may not be listed before"), "{said:?}");
    assert_eq!(town.listings(), listed);
}

#[tokio::test]
async fn copies_belong_to_their_siren_whatever_accounts_are_called_since() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("1ms", "", &mairie);
    town.put(1);
    town.poll().await;
    let copy = copy_of(&town).await;
    town.put(2);
    town.poll().await;
    // The name is another's now.
    let renamed = mairie.replace("name = \"mairie\"", "name = \"ville\"");
    let other = town.account("autre", "213400999", Standing::Valid).replace("name = \"autre\"", "name = \"mairie\"");
    town.configure("1ms", "", &format!("{renamed}{other}"));
    let said = town.say(&["restore", copy.to_str().unwrap()]).await;
    assert!(said.out.contains("1 document of the archive"), "{said:?}");
    let rows = town.query("SELECT DISTINCT feed FROM documents").await;
    assert_eq!(rows, [["fast/ville/acquittements"]]);
}

#[tokio::test]
async fn nothing_is_put_back_while_a_daemon_runs_or_from_what_is_no_ledger() {
    let town = Town::by_hand("", "", "").await;
    town.poll().await;
    let copy = copy_of(&town).await;
    let daemon = town.start().await;
    let said = town.say(&["restore", copy.to_str().unwrap()]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("stop the daemon first"), "{said:?}");
    assert!(daemon.stop().await.success());
    let before = std::fs::read(town.state().join("ledger.sqlite")).unwrap();
    let damaged = town.folder.path().join("damaged.sqlite");
    std::fs::write(&damaged, [b"SQLite format 3\0".as_slice(), &[7; 5000]].concat()).unwrap();
    let (empty, foreign) = (town.folder.path().join("empty.sqlite"), town.folder.path().join("foreign.sqlite"));
    std::fs::write(&empty, "").unwrap();
    std::fs::copy(&copy, &foreign).unwrap();
    common::query_file(&foreign, "DROP TABLE _sqlx_migrations").await;
    let link = town.folder.path().join("link.sqlite");
    std::os::unix::fs::symlink(&copy, &link).unwrap();
    let cases = [
        (damaged, "damaged"),
        (empty, "no SQLite database"),
        (foreign, "no ledger"),
        (link, "cannot be read"),
        (town.folder.path().join("absent.sqlite"), "cannot be read"),
    ];
    for (file, words) in cases {
        let said = town.say(&["restore", file.to_str().unwrap()]).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(words) && said.err.contains("remedy"), "{said:?}");
        assert!(!town.state().join(".restoring").exists(), "{said:?}");
    }
    assert_eq!(std::fs::read(town.state().join("ledger.sqlite")).unwrap(), before);
}

#[tokio::test]
async fn verify_finds_what_is_missing_and_what_has_changed() {
    let town = Town::by_hand("", "", "").await;
    for number in 1..=3 {
        town.put(number);
    }
    town.poll().await;
    let said = town.say(&["verify"]).await;
    assert_eq!((said.code, said.out.as_str()), (0, "3 copies read: 3 sound, 0 missing, 0 damaged\n"));
    let path = |id: u64| {
        let town = &town;
        async move { town.state().join(town.about(id, "archive_path").await) }
    };
    std::fs::remove_file(path(1).await).unwrap();
    let second = path(2).await;
    let mut bytes = std::fs::read(&second).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&second, bytes).unwrap();
    let said = town.say(&["verify"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("fast/mairie/acquittements 1: ") && said.out.contains(": MISSING; "), "{said:?}");
    assert!(said.out.contains(": DAMAGED: 3000 bytes") && said.out.contains("vaguemestre recover"), "{said:?}");
    assert!(said.out.ends_with("3 copies read: 1 sound, 1 missing, 1 damaged\n"), "{said:?}");
}

#[tokio::test]
async fn an_acknowledgement_that_the_archive_has_lost_is_fetched_once_more_with_its_deposit() {
    for connector in ["rest", "soap"] {
        let town = Town::by_hand(&format!("connector = \"{connector}\""), "", "").await;
        let bytes = town.put(1);
        town.poll().await;
        let said = town.say(&["recover", "fast/mairie/acquittements", "1"]).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains("its copy in the archive is sound"), "{said:?}");
        std::fs::remove_file(town.state().join(town.about(1, "archive_path").await)).unwrap();
        let said = town.say(&["recover", "fast/mairie/acquittements", "1", "2"]).await;
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.out.contains("1: was delivered; fetched once more") && said.out.contains("2: the ledger knows no")
        );
        let path = town.state().join(town.about(1, "archive_path").await);
        let archive = std::fs::read(&path).unwrap();
        assert!(path.extension().unwrap() == "zip" && archive.windows(bytes.len()).any(|part| part == bytes));
        assert_eq!(town.about(1, "state, name").await, "delivered PES1", "what is known of it stays");
        assert_eq!(town.say(&["verify"]).await.code, 0);
        assert_eq!(town.platform.requests().iter().filter(|it| it.call == Some(Call::Again)).count(), 1);
    }
}
