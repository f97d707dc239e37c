//! F2 in the running daemon: nothing starts inside a window, nor too close before it; what waits says so.
#![cfg(feature = "simulator")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::time::Duration;

use common::{SIREN, Town, told};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};
use tokio::time::Instant;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;

#[expect(clippy::disallowed_methods, reason = "the windows are put around the machine's present time")]
fn now() -> Zoned {
    Timestamp::now().to_zoned(TimeZone::get("Europe/Paris").unwrap())
}

/// A town whose platform is closed from `from` to `until`, to the minute of Paris.
async fn closed(from: &Zoned, until: &Zoned) -> Town {
    let town = Town::bare().await;
    town.configure("1s", "", &town.account("mairie", SIREN, Standing::Valid));
    let text = std::fs::read_to_string(town.config()).unwrap();
    let window = format!("maintenance = [\"{}-{}\"]", from.strftime("%H:%M"), until.strftime("%H:%M"));
    std::fs::write(town.config(), text.replace("maintenance = []", &window)).unwrap();
    town.put_many(Kind::Chorus, 1, 6, 2000);
    town
}

#[tokio::test]
async fn inside_a_window_the_platform_hears_nothing_whoever_asks() {
    let (from, until) = (now() - 1.hour(), now() + 1.hour());
    let town = closed(&from, &until).await;
    let alone = town.run(&["poll"]).await;
    assert!(alone.status.success());
    assert!(told(&alone).contains("no feed is due") || told(&alone).contains("may not be listed before"));
    let daemon = town.start().await;
    let late = format!("SELECT min(next_poll_at) >= '{}' FROM feeds", until.timestamp().strftime("%Y-%m-%dT%H:%M:00"));
    town.wait_value(&late, "1").await;
    let asked = town.run(&["poll", "fast/mairie/chorus"]).await;
    assert!(asked.status.success());
    assert!(told(&asked).contains("fast/mairie/chorus: may not be listed before "), "{}", told(&asked));
    let began = Instant::now();
    assert!(daemon.stop().await.success());
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!((town.platform.connections(), town.value("SELECT count(*) FROM polls").await.as_str()), (0, "0"));
}

#[tokio::test]
async fn downloads_too_close_before_a_window_wait_unclaimed_and_say_so() {
    // The first full minute that leaves time for a listing, and none for downloads: these stop two minutes before.
    let soon = now() + 35.seconds();
    let from = soon.round(jiff::ZonedRound::new().smallest(jiff::Unit::Minute).mode(jiff::RoundMode::Ceil)).unwrap();
    let until = &from + 30.minutes();
    let town = closed(&from, &until).await;
    let daemon = town.start().await;
    let waiting = daemon.wait_event("window.waiting").await;
    let told: Timestamp = waiting["until"].as_str().unwrap().parse().unwrap();
    assert_eq!(told.duration_since(until.timestamp()), SignedDuration::ZERO);
    assert_eq!(waiting["level"], "INFO");
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'listed'", "6").await;
    assert_eq!((1..=6).map(|id| town.platform.downloads_of(id)).sum::<usize>(), 0);
    let began = Instant::now();
    assert!(daemon.stop().await.success());
    assert!(began.elapsed() < Duration::from_secs(2), "what waits is not waited for");
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'listed' AND requested_at IS NULL").await, "6");
    let outcome = town.value("SELECT outcome FROM polls WHERE feed = 'fast/mairie/chorus' ORDER BY id LIMIT 1").await;
    assert_eq!(outcome, "interrupted");
}
