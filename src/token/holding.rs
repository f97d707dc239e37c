//! What an account holds, and what keeps it from asking: rows of the ledger, judged by both clocks.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::Client;
use super::grant::{Denial, Granted};
use crate::clock::Clock;
use crate::ledger::{KeptToken, Ledger, LedgerError, Moment, TokenRow, TokenTrouble};
use crate::schedule::LastListing;

/// The first pause after a request that brought nothing (T1).
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A server may ask for a longer one, up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Credentials that were refused are not tried again for so long (T4).
const LATCH: Duration = Duration::from_secs(1800);
/// No more of a life than one part in so many goes to the margin.
const MARGIN_PART: u32 = 10;

/// A token to be used now.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token itself.
    pub access_token: SecretString,
    /// The rest of its life.
    pub expires_in: Duration,
}

/// What keeps an account from asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    /// Whether its credentials were refused.
    pub(super) refused: bool,
    pub(super) error: String,
    pub(super) remedy: String,
    /// When it may ask again.
    pub(super) until: Timestamp,
}

/// Both clocks now.
pub(super) fn moment(clock: &dyn Clock) -> Moment {
    (clock.now(), clock.boot())
}

/// The rest of a token's life. Within one boot the boot clock alone says how old it is, for the wall clock may have been
/// set; after a reboot the wall clock does, and a token from the future is of unknown age: over.
fn life_left(token: &KeptToken, now: &Moment) -> Duration {
    let ((wall, boot), (asked_wall, asked_boot)) = (now, &token.asked);
    let same_boot = !boot.id.is_empty() && boot.id == asked_boot.id;
    let by_boot = if same_boot { boot.elapsed.checked_sub(asked_boot.elapsed) } else { None };
    let age = by_boot.or_else(|| Duration::try_from(wall.duration_since(*asked_wall)).ok());
    age.map_or(Duration::ZERO, |age| token.life.saturating_sub(age))
}

/// The token of `row`, if it has more than its margin left (with `margin`), or anything at all (without).
pub(super) fn good(row: &TokenRow, margin: Option<Duration>, now: &Moment) -> Option<Token> {
    let token = row.token.as_ref()?;
    let reserved = margin.map_or(Duration::ZERO, |margin| margin.min(token.life / MARGIN_PART));
    let left = life_left(token, now);
    (left > reserved).then(|| Token { access_token: token.access_token.clone(), expires_in: left })
}

/// Nothing held and nothing known.
pub(super) fn empty(identity: String) -> TokenRow {
    TokenRow { identity, token: None, trouble: None }
}

/// What keeps `row` from asking with `credentials` now. A trouble from the future (the clock was set back) counts as one of
/// now, so that nobody waits for the clock to catch up; `row` is corrected then.
pub(super) fn obstacle(row: &mut TokenRow, credentials: &str, now: &Moment) -> Option<Obstacle> {
    let trouble = row.trouble.as_mut()?;
    let since = LastListing { wall: trouble.at.0, boot: trouble.at.1.clone() };
    let since = since.corrected(now.0, &now.1).unwrap_or(since);
    trouble.at = (since.wall, since.boot.clone());
    let pause = match &trouble.refused {
        Some(refused) if refused != credentials => Duration::ZERO,
        _ => trouble.pause,
    };
    let left = pause.checked_sub(since.elapsed(now.0, &now.1)).filter(|left| !left.is_zero())?;
    Some(Obstacle {
        refused: trouble.refused.is_some(),
        error: trouble.error.clone(),
        remedy: trouble.remedy.clone(),
        until: now.0.checked_add(left).unwrap_or(Timestamp::MAX),
    })
}

/// Before a request leaves: should nothing more be heard of it, it counts as one that brought nothing.
pub(super) fn begin(row: &mut TokenRow, now: &Moment) {
    let failures = row.trouble.as_ref().map_or(0, |trouble| trouble.failures).saturating_add(1);
    row.trouble = Some(TokenTrouble {
        at: now.clone(),
        failures,
        pause: pause(failures),
        error: "the last request for a token was cut short".to_owned(),
        remedy: "nothing to do: it is made again".to_owned(),
        refused: None,
    });
}

/// A request that left at `asked` brought a token.
pub(super) fn obtained(row: &mut TokenRow, granted: Granted, asked: Moment) {
    row.token = Some(KeptToken { access_token: granted.access_token, asked, life: granted.life });
    row.trouble = None;
}

/// A request that began with [`begin`] was denied.
pub(super) fn denied(row: &mut TokenRow, denial: Denial, credentials: String, now: Moment) {
    let failures = row.trouble.as_ref().map_or(1, |trouble| trouble.failures);
    let asked_for = denial.retry_after.unwrap_or_default().min(LONGEST_WAIT);
    row.trouble = Some(TokenTrouble {
        at: now,
        failures: if denial.refused { 0 } else { failures },
        pause: if denial.refused { LATCH } else { pause(failures).max(asked_for) },
        error: denial.reason,
        remedy: denial.remedy,
        refused: denial.refused.then_some(credentials),
    });
}

/// 1 s, doubling to 5 min.
fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
}

/// The token that the ledger holds for `client`, if more than `margin` of its life (or the tenth of it) is left. Asks
/// nobody.
///
/// # Errors
/// When the ledger fails.
pub async fn held(
    ledger: &Ledger,
    client: &Client,
    margin: Duration,
    clock: &dyn Clock,
) -> Result<Option<Token>, LedgerError> {
    let row = ledger.token(&client.account).await?;
    let row = row.filter(|row| row.identity == client.identity(&ledger.seed()));
    Ok(row.and_then(|row| good(&row, Some(margin), &moment(clock))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SetClock;

    fn at(text: &str) -> SetClock {
        SetClock::at(text.parse().unwrap())
    }

    fn holding(life: u64, clock: &SetClock) -> TokenRow {
        let mut row = empty(String::new());
        let granted = Granted { access_token: "t".into(), life: Duration::from_secs(life) };
        obtained(&mut row, granted, moment(clock));
        row
    }

    #[test]
    fn the_margin_is_a_tenth_of_a_short_life() {
        let margin = Some(Duration::from_secs(10));
        for (life, used) in [(6, 5.4), (300, 290.0)] {
            let clock = at("2026-11-22T10:00:00Z");
            let row = holding(life, &clock);
            clock.advance(Duration::from_secs_f64(used - 0.01));
            assert!(good(&row, margin, &moment(&clock)).is_some(), "{life}");
            clock.advance(Duration::from_millis(20));
            assert!(good(&row, margin, &moment(&clock)).is_none(), "{life}");
            assert!(good(&row, None, &moment(&clock)).is_some(), "within the margin it is still a token");
        }
    }

    #[test]
    fn a_wall_clock_that_is_set_makes_no_token_older_or_younger() {
        let clock = at("2026-11-22T10:00:00Z");
        let row = holding(300, &clock);
        for wall in ["2026-11-23T10:00:00Z", "2026-11-21T10:00:00Z"] {
            clock.set_wall(wall.parse().unwrap());
            assert_eq!(good(&row, None, &moment(&clock)).unwrap().expires_in.as_secs(), 300, "{wall}");
        }
        clock.advance(Duration::from_secs(300));
        assert!(good(&row, None, &moment(&clock)).is_none());
    }

    #[test]
    fn after_a_reboot_the_wall_clock_says_how_old_a_token_is_and_one_from_the_future_is_over() {
        let clock = at("2026-11-22T10:00:00Z");
        let row = holding(300, &clock);
        clock.reboot("boot-2");
        clock.set_wall("2026-11-22T10:01:00Z".parse().unwrap());
        assert_eq!(good(&row, None, &moment(&clock)).unwrap().expires_in.as_secs(), 240);
        clock.set_wall("2026-11-22T09:59:00Z".parse().unwrap());
        assert!(good(&row, None, &moment(&clock)).is_none());
    }

    #[test]
    fn pauses_double_to_five_minutes_and_outlast_a_clock_that_is_set() {
        assert_eq!([1, 2, 3, 9, 10, 99].map(|failures| pause(failures).as_secs()), [1, 2, 4, 256, 300, 300]);
        let clock = at("2026-11-22T10:00:00Z");
        let mut row = empty(String::new());
        (0..9).for_each(|_| begin(&mut row, &moment(&clock)));
        clock.set_wall("2026-11-23T10:00:00Z".parse().unwrap());
        assert!(obstacle(&mut row, "c", &moment(&clock)).is_some(), "set forward: no pause is over");
        clock.set_wall("2026-11-20T10:00:00Z".parse().unwrap());
        assert!(obstacle(&mut row, "c", &moment(&clock)).is_some());
        clock.advance(Duration::from_secs(256));
        assert!(obstacle(&mut row, "c", &moment(&clock)).is_none(), "set back: nobody waits for it to catch up");
    }
}
