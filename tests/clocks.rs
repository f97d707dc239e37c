//! Clocks that are set, machines that sleep: no early listing, no burst, no feed stuck. The daemon runs in this process
//! under a clock that the test moves; its heart goes on beating in real time.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{PATIENCE, SIREN, Town};
use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use vaguemestre::clock::{Clock as _, SetClock, SystemClock};
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Record};
use vaguemestre::{config, daemon};

const INTERVAL: Duration = Duration::from_secs(1800);
/// Less than what counts as sleep between two beats of the heart.
const STEP: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

fn listings(records: &[Record]) -> usize {
    records.iter().filter(|record| record.call == Some(Call::List)).count()
}

/// A daemon under a clock of ours, its three feeds listed once.
struct Clockwork {
    town: Town,
    clock: Arc<SetClock>,
    daemon: JoinHandle<()>,
}

impl Clockwork {
    async fn start() -> Self {
        let town = Town::bare().await;
        town.configure("30m", "", &town.account("mairie", SIREN, Standing::Valid));
        let text = std::fs::read_to_string(town.config()).unwrap();
        std::fs::write(town.config(), text.replace("jitter = \"0s\"", "jitter = \"5m\"")).unwrap();
        let file = town.config();
        let load = move || config::load(&file, std::env::vars());
        let settings = load().settings.unwrap();
        let clock = Arc::new(SetClock::at(SystemClock::new().now()));
        let shown = Arc::clone(&clock);
        let daemon = tokio::spawn(async move { daemon::run(settings, &load, shown, Arc::default()).await.unwrap() });
        let clockwork = Self { town, clock, daemon };
        // New feeds are due within a minute.
        while clockwork.town.run(&["status"]).await.stdout.is_empty() {}
        clockwork.live(3).await;
        clockwork.town.wait_value("SELECT count(*) FROM feeds WHERE claimed_by IS NULL", "3").await;
        clockwork
    }

    /// Lets time pass, awake: a look at the clock every few seconds, until so many listings were asked for.
    async fn live(&self, count: usize) {
        for _ in 0..12 {
            self.clock.advance(STEP);
            let reached = self.town.platform.wait_for(|records| listings(records) >= count);
            if timeout(Duration::from_millis(1100), reached).await.is_ok() {
                return;
            }
        }
        panic!("{} of {count} listings: {:?}", self.listings(), self.plans().await);
    }

    fn listings(&self) -> usize {
        listings(&self.town.platform.requests())
    }

    /// When the feeds are due, earliest first.
    async fn plans(&self) -> Vec<Timestamp> {
        let rows = self.town.query("SELECT next_poll_at FROM feeds ORDER BY 1").await;
        rows.iter().map(|row| row[0].parse().unwrap()).collect()
    }

    /// Waits until the dispatcher has planned all feeds between `earliest` and `latest` from now on.
    async fn wait_planned(&self, earliest: Duration, latest: Duration) -> Vec<Timestamp> {
        let now = self.clock.now();
        let planned = timeout(PATIENCE / 4, async {
            loop {
                let plans = self.plans().await;
                if plans.iter().all(|plan| *plan >= now + earliest && *plan <= now + latest) {
                    return plans;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        match planned.await {
            Ok(plans) => plans,
            Err(_) => panic!("now {now}: {:?}", self.plans().await),
        }
    }

    /// Lets the heart beat a few times.
    async fn beat(&self) {
        tokio::time::sleep(Duration::from_millis(2500)).await;
    }
}

impl Drop for Clockwork {
    fn drop(&mut self) {
        self.daemon.abort();
    }
}

#[tokio::test]
async fn a_clock_set_forward_brings_no_early_listing_and_one_in_its_time() {
    let it = Clockwork::start().await;
    it.clock.set_wall(it.clock.now() + SignedDuration::from_hours(5));
    // An interval of real time must pass, whatever the wall says.
    it.wait_planned(INTERVAL - MINUTE, INTERVAL + 11 * MINUTE).await;
    it.beat().await;
    assert_eq!(it.listings(), 3, "listed early");
    it.clock.advance(INTERVAL + 11 * MINUTE);
    it.live(6).await;
}

#[tokio::test]
async fn a_clock_set_back_leaves_no_feed_stuck_and_brings_no_early_listing() {
    let it = Clockwork::start().await;
    it.clock.set_wall(it.clock.now() - SignedDuration::from_hours(5));
    it.wait_planned(INTERVAL - MINUTE, INTERVAL + 11 * MINUTE).await;
    it.beat().await;
    assert_eq!(it.listings(), 3, "listed early");
    it.clock.advance(INTERVAL + 11 * MINUTE);
    it.live(6).await;
}

#[tokio::test]
async fn after_hours_of_sleep_each_feed_is_polled_once_spread_over_a_minute() {
    let it = Clockwork::start().await;
    let spread_from = it.clock.now() + SignedDuration::from_hours(9);
    it.clock.advance(Duration::from_secs(9 * 3600));
    let plans = it.wait_planned(Duration::ZERO, MINUTE).await;
    assert!(plans.windows(2).all(|pair| pair[0] != pair[1]), "all at once: {plans:?}");
    let early = plans.iter().filter(|plan| plan.duration_since(spread_from).as_secs() < 1).count();
    it.beat().await;
    assert!(it.listings() <= 3 + early, "a burst");
    it.live(6).await;
    it.beat().await;
    assert_eq!(it.listings(), 6, "one late poll each");
}
