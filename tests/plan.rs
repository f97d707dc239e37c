//! `plan`: shows what the daemon will do, and keeps every rule of the schedule.
#![cfg(feature = "simulator")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{PATIENCE, Town, complained, files, told};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use vaguemestre::feed::Kind;

/// Lines of `plan --json`.
fn lines(text: &str) -> Vec<(String, Timestamp)> {
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line.as_object().unwrap().len(), 2, "{line}");
            let at = line["at"].as_str().unwrap();
            let time: Timestamp = at.parse().unwrap();
            let offset = time.to_zoned(TimeZone::get("Europe/Paris").unwrap()).strftime("%:z").to_string();
            assert!(at.ends_with(&offset), "{at} is Paris time");
            (line["feed"].as_str().unwrap().to_owned(), time)
        })
        .collect()
}

/// Fifty accounts of the real platform, every rule at its default.
async fn fifty() -> Town {
    let town = Town::bare().await;
    let tables: String = (0..50)
        .map(|n| format!("[[fast.accounts]]\nname = \"c{n}\"\nsiren = \"{}\"\ncertificate = \"x\"\n", 213_400_000 + n))
        .collect();
    std::fs::write(town.config(), format!("[state]\ndirectory = \"state\"\n{tables}")).unwrap();
    town
}

#[tokio::test]
async fn a_month_with_a_change_of_clocks_keeps_interval_windows_and_full_hours() {
    let town = fifty().await;
    let output = town.run(&["plan", "--json", "--from", "2028-03-10", "--for", "30d"]).await;
    assert!(output.status.success(), "{}", complained(&output));
    let plan = lines(&told(&output));
    let (from, until): (Timestamp, Timestamp) =
        ("2028-03-09T23:00:00Z".parse().unwrap(), "2028-04-08T23:00:00Z".parse().unwrap());
    assert!(plan.is_sorted_by_key(|(_, at)| *at));
    assert!(plan.iter().all(|(_, at)| (from..until).contains(at)));
    let mut feeds: BTreeMap<&str, Vec<Timestamp>> = BTreeMap::new();
    plan.iter().for_each(|(feed, at)| feeds.entry(feed).or_default().push(*at));
    assert_eq!(feeds.len(), 150);
    let (least, most) = (SignedDuration::from_secs(1815), SignedDuration::from_mins(60));
    let mut gaps = BTreeMap::<i64, usize>::new();
    for (feed, times) in &feeds {
        for pair in times.windows(2) {
            let gap = pair[1].duration_since(pair[0]);
            assert!(gap >= least && gap <= most, "{feed}: {pair:?}");
            *gaps.entry(gap.as_secs() / 60).or_default() += 1;
        }
    }
    assert!((30..35).all(|minute| gaps[&minute] > plan.len() / 20), "jitter over all five minutes: {gaps:?}");
    let paris = TimeZone::get("Europe/Paris").unwrap();
    let mut minutes = BTreeMap::<i8, usize>::new();
    for (feed, at) in &plan {
        let local = at.to_zoned(paris.clone());
        let second = i32::from(local.minute()) * 60 + i32::from(local.second());
        assert!((120..3600 - 135).contains(&second), "{feed} near a full hour: {local}");
        let maintenance = local.hour() == 4 && (4 * 60 - 15..16 * 60).contains(&second);
        assert!(!maintenance, "{feed} in the maintenance: {local}");
        *minutes.entry(local.minute()).or_default() += 1;
    }
    let mean = plan.len() / minutes.len();
    assert!(minutes.len() >= 55 && minutes.values().all(|count| *count < 2 * mean), "{minutes:?}");
    assert!(!town.state().exists(), "it makes nothing");
}

#[tokio::test]
async fn what_it_says_is_chosen_by_selector_and_span_and_nothing_is_touched() {
    let town = Town::with_interval("30m").await;
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM polls WHERE outcome = 'ok'", "3").await;
    assert!(daemon.stop().await.success());
    let look = || {
        files(&town.state())
            .into_iter()
            .map(|path| (std::fs::read(town.state().join(&path)).unwrap(), path))
            .collect::<Vec<_>>()
    };
    let before = look();
    let plan = lines(&told(&town.run(&["plan", "--json"]).await));
    assert_eq!(plan, lines(&told(&town.run(&["plan", "--json"]).await)), "the same seed, the same plan");
    assert!(look() == before, "touched");
    for (feed, at) in &plan[..3] {
        assert_eq!(
            town.value(&format!("SELECT next_poll_at FROM feeds WHERE feed = '{feed}'")).await,
            format!("{at:.3}")
        );
    }
    let one = lines(&told(&town.run(&["plan", "--json", "--for", "12h", "*/chorus"]).await));
    assert!((22..=24).contains(&one.len()) && one.iter().all(|(feed, _)| feed == "fast/mairie/chorus"), "{one:?}");
    let text = told(&town.run(&["plan", "--for", "12h", "*/chorus"]).await);
    assert_eq!(text.lines().count(), one.len());
    assert!(text.lines().all(|line| line.ends_with("  fast/mairie/chorus")));
    let from = plan[30].1;
    let later = lines(&told(&town.run(&["plan", "--json", "--from", &from.to_string(), "--for", "6h"]).await));
    assert_eq!(later[..], plan[30..30 + later.len()], "a later start shows the same plan");
}

#[tokio::test]
async fn the_daemon_does_what_it_says() {
    let town = Town::with_interval("1s").await;
    let text = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), text.replace("jitter = \"0s\"", "jitter = \"3s\"")).unwrap();
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) >= 1 FROM polls", "1").await;
    let plan = lines(&told(&town.run(&["plan", "--json", "--for", "60s"]).await));
    // Every planned time that the ledger comes to hold, in order.
    let mut held: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    let watched = tokio::time::timeout(PATIENCE, async {
        while held.len() < 3 || held.values().any(|times| times.len() < 4) {
            for row in town.query("SELECT feed, next_poll_at FROM feeds").await {
                let (times, at) = (held.entry(row[0].clone()).or_default(), row[1].parse().unwrap());
                if times.last() != Some(&at) {
                    times.push(at);
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(watched.await.is_ok(), "{held:?}");
    drop(daemon);
    let mut kept = 0;
    for kind in Kind::USUAL {
        let feed = format!("fast/mairie/{kind}");
        let planned: Vec<Timestamp> = plan.iter().filter(|(name, _)| *name == feed).map(|(_, at)| *at).collect();
        let starts: Vec<Timestamp> = town
            .query(&format!("SELECT started_at FROM polls WHERE feed = '{feed}' ORDER BY id"))
            .await
            .iter()
            .map(|row| row[0].parse().unwrap())
            .collect();
        let actual: Vec<Timestamp> = held[&feed].iter().copied().skip_while(|at| *at < planned[0]).collect();
        for (planned, actual) in planned.windows(2).zip(actual.windows(2)) {
            assert_eq!(planned[0], actual[0], "{feed}");
            let start = starts.iter().find(|start| **start >= planned[0]).unwrap();
            // A start so late that the interval counts from it changes what comes after.
            if *start + SignedDuration::from_secs(1) > planned[1] {
                break;
            }
            assert_eq!(planned[1], actual[1], "{feed}");
            kept += 1;
        }
    }
    assert!(kept >= 2, "most polls start in time: {kept}");
}
