//! The real binary under a faked clock, at sixty times the speed of time, through the nights in which the clocks change,
//! the machine's own zone elsewhere: F1, F2 and F3 as the platform sees them.
//!
//! It needs libfaketime (Debian: package faketime) and two and a half minutes, so it runs when asked for:
//! `cargo test --test night -- --ignored`.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by a panic, and says why it skips")]

mod common;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Daemon, SIREN, Town, sample};
use jiff::civil::{Date, Weekday};
use jiff::{SignedDuration, Timestamp, tz};
use tokio::time::Instant;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Record};

const SPEED: i32 = 60;
/// Several processes share the machine, and a second of it is a minute of the daemon's: what the platform saw so much
/// later than it was sent counts as in time.
const SLACK: SignedDuration = SignedDuration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and needs libfaketime: cargo test --test night -- --ignored"]
async fn the_night_clocks_go_forward_on_martinique() {
    // 01:40 winter time to 04:30 summer time.
    spend(3, "01:40:00", "04:30:00", "America/Martinique").await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes and needs libfaketime: cargo test --test night -- --ignored"]
async fn the_night_clocks_go_back_in_noumea() {
    // 02:50, the first of two, to 04:30 winter time.
    spend(10, "02:50:00", "04:30:00", "Pacific/Noumea").await;
}

/// The daemon's night of the next change of clocks in `month`, from `from` to `until`, Paris time.
async fn spend(month: i8, from: &str, until: &str, machine: &str) {
    let Some(library) = libfaketime() else {
        println!("skipped: libfaketime is not installed (Debian: package faketime)");
        return;
    };
    let night = next_change(month);
    let [from, until] = [from, until].map(|time| paris(night, time));
    let town = Town::bare().await;
    let busy = town.account("mairie", SIREN, Standing::Valid);
    let idle = town.account("ccas", "213400010", Standing::Valid);
    town.configure("30m", "timeout = \"30m\"\nconcurrency = 1", &(busy + &idle));
    let text = std::fs::read_to_string(town.config()).unwrap();
    let text = text.replace("jitter = \"0s\"", "jitter = \"5m\"").replace("avoid_hour = \"0s\"", "avoid_hour = \"2m\"");
    let text = text.replace("maintenance = []", "maintenance = [\"04:05-04:15\"]");
    std::fs::write(town.config(), text.replace("guard = \"0s\"", "guard = \"1m\"")).unwrap();
    // Enough documents, slow enough, to be downloading without a pause when the window comes.
    for number in 1..=1000 {
        town.platform.put(SIREN, Kind::Chorus, number, sample(Kind::Chorus, number, 2000));
    }
    town.platform.adjust(|it| it.latency = Duration::from_millis(300));

    let mut command = town.command(&["run"]);
    command.env("LD_PRELOAD", library).env("TZ", machine).env("FAKETIME_DONT_RESET", "1").env("NO_FAKE_STAT", "1");
    // libfaketime reads its times in the machine's zone.
    let zone = tz::TimeZone::get(machine).unwrap();
    command.env("FAKETIME", format!("@{} x{SPEED}", from.to_zoned(zone).strftime("%Y-%m-%d %H:%M:%S")));
    let began = Instant::now();
    let daemon = Daemon::spawn(command, town.folder.path());
    daemon.wait_event("daemon.ready").await;
    let rest = Duration::try_from(until.duration_since(from)).unwrap() / SPEED.unsigned_abs();
    tokio::time::sleep_until(began + rest).await;
    daemon.kill().await;

    let seen = |record: &Record| from + SignedDuration::try_from(record.started_at - began).unwrap() * SPEED;
    let requests: Vec<(Timestamp, Record)> =
        town.platform.requests().into_iter().map(|record| (seen(&record), record)).collect();
    judge(&requests, night);
}

fn judge(requests: &[(Timestamp, Record)], night: Date) {
    let mut listings: HashMap<String, Vec<Timestamp>> = HashMap::new();
    for (at, record) in requests {
        let local = at.to_zoned(tz::TimeZone::get("Europe/Paris").unwrap());
        assert!(
            *at < paris(night, "04:04:00") + SLACK || *at >= paris(night, "04:16:00"),
            "a request during the maintenance: {local} {}",
            record.path
        );
        if record.call == Some(Call::List) {
            let past = SignedDuration::from_secs(at.as_second().rem_euclid(3600));
            let two = SignedDuration::from_mins(2);
            assert!(past >= two && past <= SignedDuration::from_hours(1) - two + SLACK, "near a full hour: {local}");
            listings.entry(record.path.clone()).or_default().push(*at);
        } else {
            let held = paris(night, "04:02:00")..paris(night, "04:04:00");
            assert!(!(held.start + SLACK..held.end).contains(at), "a download too close to the window: {local}");
        }
    }
    assert_eq!(listings.len(), 6, "every feed was listed: {listings:?}");
    for (path, times) in &listings {
        assert!(path.contains(SIREN) && path.contains("chorus") || times.len() >= 2, "{path}: {times:?}");
        for pair in times.windows(2) {
            assert!(pair[1].duration_since(pair[0]) >= SignedDuration::from_mins(30) - SLACK, "{path}: {pair:?}");
        }
    }
    let downloads = |from: &str, until: &str| {
        let span = paris(night, from)..paris(night, until);
        requests.iter().filter(|(at, record)| record.call == Some(Call::Download) && span.contains(at)).count()
    };
    assert!(downloads("03:45:00", "04:02:00") > 5, "downloads ran until the window");
    assert!(downloads("04:16:00", "04:30:00") > 5, "and went on after it: {:?}", requests.last());
}

fn libfaketime() -> Option<PathBuf> {
    let place = std::env::var("LIBFAKETIME").unwrap_or_default();
    let known =
        ["x86_64-linux-gnu", "aarch64-linux-gnu"].map(|arch| format!("/usr/lib/{arch}/faketime/libfaketime.so.1"));
    let known = known.iter().map(String::as_str).chain([place.as_str(), "/usr/lib64/faketime/libfaketime.so.1"]);
    known.map(Path::new).find(|path| path.exists()).map(Path::to_owned)
}

/// The day of the next change of clocks in `month`: its last Sunday. Certificates made now are valid then.
fn next_change(month: i8) -> Date {
    let today = jiff::Timestamp::UNIX_EPOCH + SignedDuration::try_from(unix_time()).unwrap();
    let today = today.to_zoned(tz::TimeZone::UTC).date();
    let last_sunday = |year| Date::new(year, month, 1).unwrap().nth_weekday_of_month(-1, Weekday::Sunday).unwrap();
    let this_year = last_sunday(today.year());
    if this_year > today { this_year } else { last_sunday(today.year() + 1) }
}

#[expect(clippy::disallowed_methods, reason = "the test's own day, not the daemon's")]
fn unix_time() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap()
}

/// `time` of that day in Paris; the first of two where it happens twice.
fn paris(day: Date, time: &str) -> Timestamp {
    let zone = tz::TimeZone::get("Europe/Paris").unwrap();
    day.to_datetime(time.parse().unwrap()).to_zoned(zone).unwrap().timestamp()
}
