//! Our own disk fails, fills or is closed: nothing is lost, nothing counts against a document, it is said with what to do,
//! and all goes on by itself once the disk works again.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Daemon, PATIENCE, SIREN, Town, mounts, sample, strace};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;
use vaguemestre::clock::{Clock as _, SystemClock};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::Call;
use vaguemestre::simulator::keys::Standing;

const DELIVERED: &str = "SELECT count(*) FROM documents WHERE state = 'delivered'";
/// Long enough for several looks of the daemon at its feeds.
const A_WHILE: Duration = Duration::from_secs(3);
/// A request that was on its way when the disk failed.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(1);

/// One feed, listed every second, one document at a time.
async fn town() -> Town {
    let town = Town::bare().await;
    configure(&town);
    town
}

fn configure(town: &Town) {
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    let feeds = format!("{mairie}feeds = [\"acquittements\"]\n");
    town.configure("1s", "max_document = \"1MiB\"\nconcurrency = 1\n", &feeds);
}

/// Where the document with the row `id` lies before it is synced.
fn sealed(town: &Town, id: u64, bytes: &[u8]) -> PathBuf {
    let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    town.state().join(format!("archive/.incoming/{id}.{}.{hash}.sealed", bytes.len()))
}

/// The archive's folder of today.
fn today(town: &Town) -> PathBuf {
    let day = SystemClock::new().now().to_zoned(jiff::tz::TimeZone::UTC).strftime("%Y/%m/%d").to_string();
    town.state().join("archive/fast/mairie/acquittements").join(day)
}

/// A daemon to which each sync of `path` fails, until it says so; meanwhile documents 1 to 6 come.
async fn failing(town: &Town, path: &Path) -> Daemon {
    let daemon = town.start().await;
    let options = strace::injecting("fdatasync,fsync", "error=EIO", "1+", Some(path));
    let strace = strace::Attached::to(daemon.id(), &options).await;
    (1..=6).for_each(|number| drop(town.put(number)));
    daemon.wait_event("disk.failed").await;
    strace.detach().await;
    daemon
}

fn unsynced(town: &Town) -> Vec<Vec<u8>> {
    let files = town.every_file("archive/quarantine");
    files
        .iter()
        .filter(|file| file.extension().is_some_and(|it| it == "unsynced"))
        .map(|file| std::fs::read(file).unwrap())
        .collect()
}

/// Documents 1 to `count` lie in archive and inbox, and nothing counted against them.
async fn assert_collected(town: &Town, count: u64) {
    assert_eq!(town.value("SELECT max(attempts) FROM documents").await, "0", "our own faults count for nothing");
    assert_eq!(town.inbox_files().len() as u64, count);
    for number in 1..=count {
        let bytes = sample(Kind::Acquittements, number, 3000);
        assert!(std::fs::read(town.in_inbox(number)).unwrap() == bytes, "{number}");
        let path = town.about(number, "archive_path").await;
        assert!(std::fs::read(town.state().join(path)).unwrap() == bytes, "{number}");
        assert!(town.platform.downloads_of(number) <= 2, "{number}");
    }
}

fn at(event: &Value) -> Timestamp {
    event["timestamp"].as_str().unwrap().parse().unwrap()
}

/// Nothing was asked for between the disk's failure and its recovery, each of which was said once, with a remedy.
async fn assert_paused(town: &Town, daemon: &Daemon) {
    let recovered = at(&daemon.wait_event("disk.recovered").await);
    let failed: Vec<Value> =
        daemon.events("disk.failed").into_iter().filter(|event| event["level"] == "ERROR").collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert!(failed[0]["message"].as_str().unwrap().contains("dmesg"), "{failed:#?}");
    let between = |at: Timestamp| at > at_plus(&failed[0]) && at < recovered;
    let asked: Vec<_> = town.platform.requests().into_iter().filter(|record| between(record.at)).collect();
    assert!(asked.is_empty(), "{asked:#?}");
    assert!(recovered > at_plus(&failed[0]), "it was probed too soon");
}

fn at_plus(event: &Value) -> Timestamp {
    at(event) + ON_ITS_WAY
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_cannot_be_synced_counts_as_lost_and_all_intake_waits_for_a_probe() {
    if !strace::is_here() {
        return;
    }
    let town = town().await;
    let first = sample(Kind::Acquittements, 1, 3000);
    let daemon = failing(&town, &sealed(&town, 1, &first)).await;
    town.wait_value(DELIVERED, "6").await;
    assert_paused(&town, &daemon).await;
    assert!(daemon.stop().await.success());
    assert_collected(&town, 6).await;
    // The bytes that may never have reached the disk are nobody's document.
    assert_eq!(unsynced(&town), [first]);
    assert_eq!(town.about(1, "interruptions").await, "1");
    assert_eq!(town.platform.downloads_of(1), 2);
    assert_eq!(town.downloads(), 7, "no other was asked for twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_whose_folder_cannot_be_synced_counts_as_lost_as_well() {
    if !strace::is_here() {
        return;
    }
    let town = town().await;
    let daemon = failing(&town, &today(&town)).await;
    town.wait_value(DELIVERED, "6").await;
    assert_paused(&town, &daemon).await;
    assert!(daemon.stop().await.success());
    assert_collected(&town, 6).await;
    let lost = unsynced(&town).len();
    assert!(lost > 0 && town.downloads() == 6 + lost, "{lost} lost, {} asked for", town.downloads());
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_could_not_be_synced_can_still_be_accepted_where_the_platform_no_longer_has_them() {
    if !strace::is_here() {
        return;
    }
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(1);
    let options = strace::injecting("fdatasync,fsync", "error=EIO", "1", Some(&sealed(&town, 1, &bytes)));
    let output = strace::run(strace::under(&options, &town.command(&["poll", "fast/*"]))).await;
    assert_eq!(output.status.code(), Some(75));
    assert!(common::told(&output).contains("could not be synced, and counts as lost"), "{}", common::told(&output));
    town.platform.remove(Kind::Acquittements, 1);
    assert_eq!(town.poll().await.code, 75);
    assert_eq!(town.state_of(1).await, "lost");
    let said = town.say(&["retry", "fast/mairie/acquittements", "1", "--accept"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.state_of(1).await, "delivered");
    assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_folder_cannot_be_synced_is_not_delivered_and_made_anew() {
    if !strace::is_here() {
        return;
    }
    let town = Town::by_hand("", "", "").await;
    let bytes = town.put(1);
    let folder = town.inbox().join("fast/mairie/acquittements");
    let options = strace::injecting("fdatasync,fsync", "error=EIO", "1", Some(&folder));
    let output = strace::run(strace::under(&options, &town.command(&["poll", "fast/*"]))).await;
    assert_eq!(output.status.code(), Some(0), "the document is safe: {}", common::complained(&output));
    assert_eq!(town.state_of(1).await, "stored");
    assert_eq!(town.value("SELECT state FROM deliveries").await, "failed");
    assert!(town.inbox_files().is_empty(), "what lies there would pass for delivered");
    town.query("UPDATE deliveries SET next_try_at = created_at").await;
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.state_of(1).await, "delivered");
    assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_cannot_be_synced_or_made_is_not_delivered_and_its_neighbours_are() {
    if !strace::is_here() {
        return;
    }
    let town = Town::by_hand("", "", "").await;
    (1..=4).for_each(|number| drop(town.put(number)));
    assert_eq!(town.poll().await.code, 0);
    town.inbox_files().iter().for_each(|path| std::fs::remove_file(town.inbox().join(path)).unwrap());
    // What is handed over together: the first is damaged, the next but one cannot be synced.
    let rows = town.query("SELECT deliveries.id, remote_id, archive_path FROM deliveries JOIN documents USING (feed, remote_id) ORDER BY deliveries.id").await;
    std::fs::write(town.state().join(&rows[0][2]), "damaged").unwrap();
    let seed = town.value("SELECT lower(hex(seed)) FROM installation").await;
    let seed: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&seed[2 * at..2 * at + 2], 16).unwrap()).collect();
    let digest: [u8; 32] = Sha256::digest(seed).into();
    let mark: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let copy = town.inbox().join(format!(".vaguemestre/{mark}.{}.part", rows[2][0]));
    let options = strace::injecting("fdatasync,fsync", "error=EIO", "1+", Some(&copy));
    let replay = town.command(&["replay", "fast/mairie/acquittements", "--all"]);
    let output = strace::run(strace::under(&options, &replay)).await;
    let states = town.query("SELECT state FROM deliveries ORDER BY id").await;
    assert_eq!(states, [["failed"], ["delivered"], ["failed"], ["delivered"]], "{}", common::complained(&output));
    let errors = town.query("SELECT error FROM deliveries WHERE state = 'failed' ORDER BY id").await;
    assert!(errors[0][0].contains("no longer holds the bytes") && errors[1][0].contains("Input/output"), "{errors:?}");
    let mut lies: Vec<PathBuf> = town.inbox_files().iter().map(|path| town.inbox().join(path)).collect();
    lies.sort();
    let mut safe = [&rows[1][1], &rows[3][1]].map(|id| town.in_inbox(id.parse::<u64>().unwrap()));
    safe.sort();
    assert_eq!(lies, safe);
    assert!(!copy.exists(), "a copy that came to nothing is removed");
}

/// Fills the disk of the state directory to the last byte.
fn fill(town: &Town) {
    let mut filler = std::fs::File::create(town.state().join("filler")).unwrap();
    for size in [65536, 4096, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

/// Takes every inode of that disk.
fn take_inodes(town: &Town) {
    let folder = town.state().join("filler");
    std::fs::create_dir(&folder).unwrap();
    (0..).find(|number| std::fs::File::create(folder.join(format!("{number}"))).is_err()).unwrap();
}

/// A disk that fills while documents come; then it is emptied again.
async fn survives(options: &str, fill: impl Fn(&Town)) {
    let town = Town::bare().await;
    mounts::in_memory(&town.state(), options);
    configure(&town);
    town.platform.adjust(|it| it.latency = Duration::from_millis(50));
    (1..=30).for_each(|number| drop(town.put(number)));
    let daemon = town.start().await;
    let downloads = |records: &[vaguemestre::simulator::Record]| {
        records.iter().filter(|record| record.call == Some(Call::Download)).count()
    };
    timeout(PATIENCE, town.platform.wait_for(|records| downloads(records) >= 5)).await.unwrap();
    fill(&town);
    let low = daemon.wait_event("disk.low").await;
    assert_eq!(low["level"], "ERROR", "{low}");
    tokio::time::sleep(A_WHILE).await;
    let asked = town.platform.requests().len();
    assert!(town.downloads() < 30, "it filled too late");
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(town.platform.requests().len(), asked, "nothing is asked for while there is no room");
    let filler = town.state().join("filler");
    if filler.is_dir() {
        std::fs::remove_dir_all(filler).unwrap()
    } else {
        std::fs::remove_file(filler).unwrap()
    }
    town.wait_value(DELIVERED, "30").await;
    daemon.wait_event("disk.recovered").await;
    assert!(daemon.stop().await.success());
    assert_collected(&town, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fills_between_a_listing_and_its_downloads_ends_them_and_all_comes_in_the_end() {
    if mounts::alone("a_disk_that_fills_between_a_listing_and_its_downloads_ends_them_and_all_comes_in_the_end") {
        survives("size=24m", fill).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_without_inodes_counts_as_full() {
    if mounts::alone("a_disk_without_inodes_counts_as_full") {
        survives("size=64m,nr_inodes=700", take_inodes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_and_an_inbox_that_are_read_only_for_a_while_lose_nothing() {
    if !mounts::alone("an_archive_and_an_inbox_that_are_read_only_for_a_while_lose_nothing") {
        return;
    }
    let town = Town::bare().await;
    let (archive, inbox) = (town.state().join("archive"), town.inbox());
    mounts::apart(&archive);
    mounts::apart(&inbox);
    configure(&town);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "1").await;
    mounts::read_only(&archive, true);
    (1..=5).for_each(|number| drop(town.put(number)));
    let failed = daemon.wait_event("disk.failed").await;
    assert!(failed["message"].as_str().unwrap().contains("Read-only file system"), "{failed}");
    tokio::time::sleep(A_WHILE).await;
    assert!(town.downloads() <= 2, "{} were asked for in vain", town.downloads());
    mounts::read_only(&archive, false);
    town.wait_value(DELIVERED, "5").await;
    mounts::read_only(&inbox, true);
    (6..=8).for_each(|number| drop(town.put(number)));
    let failed = daemon.wait_event("delivery.failed").await;
    assert!(failed["message"].as_str().unwrap().contains("Read-only file system"), "{failed}");
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'stored'", "3").await;
    town.wait_value("SELECT count(*) FROM deliveries WHERE state = 'failed'", "3").await;
    mounts::read_only(&inbox, false);
    town.query("UPDATE deliveries SET next_try_at = created_at WHERE state = 'failed'").await;
    town.wait_value(DELIVERED, "8").await;
    assert!(daemon.stop().await.success());
    assert_collected(&town, 8).await;
}

/// A daemon to which the calls `set` fail with `error`, on `path` of the documents to come, until it says so (`event`); then
/// all comes.
async fn goes_on_after(set: &str, error: &str, path: impl Fn(&Town) -> PathBuf, event: &str) {
    if !strace::is_here() {
        return;
    }
    let town = town().await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE last_outcome = 'ok'", "1").await;
    let options = strace::injecting(set, &format!("error={error}"), "1+", Some(&path(&town)));
    let strace = strace::Attached::to(daemon.id(), &options).await;
    (1..=4).for_each(|number| drop(town.put(number)));
    let said = timeout(PATIENCE, async {
        loop {
            let said = daemon.events(event).into_iter().find(|said| said["level"] == "ERROR");
            if let Some(said) = said {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let said = said.await.unwrap_or_else(|_| panic!("no {event}: {:#?}", daemon.log()));
    let text = format!("{} {}", said["message"], said["remedy"]);
    assert!(["dmesg", "mend the disk", "make room", "look at"].iter().any(|remedy| text.contains(remedy)), "{said}");
    strace.detach().await;
    town.wait_value(DELIVERED, "4").await;
    assert!(daemon.stop().await.success());
    assert_collected(&town, 4).await;
}

fn arriving(town: &Town) -> PathBuf {
    town.state().join("archive/.incoming/1.part")
}

fn log_of_the_ledger(town: &Town) -> PathBuf {
    town.state().join("ledger.sqlite-wal")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_body_that_could_not_be_written_all_comes() {
    goes_on_after("write", "EIO", arriving, "disk.failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_file_that_could_not_be_made_all_comes() {
    goes_on_after("openat", "EDQUOT", arriving, "disk.failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_file_that_could_not_be_sealed_all_comes() {
    goes_on_after("rename,renameat,renameat2", "ENOSPC", arriving, "disk.failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_file_that_could_not_be_placed_all_comes() {
    let place = |town: &Town| today(town).join("1.xml");
    goes_on_after("rename,renameat,renameat2", "EIO", place, "disk.low").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_ledger_that_could_not_be_written_all_comes() {
    goes_on_after("pwrite64", "ENOSPC", log_of_the_ledger, "ledger.failed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_ledger_that_could_not_be_synced_all_comes() {
    goes_on_after("fdatasync,fsync", "EIO", log_of_the_ledger, "ledger.failed").await;
}
