//! What a try that did not keep its document costs (F4, F6, F7).

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::ledger::{Claimed, Condition, Refusal};

/// After this many tries a document is abandoned.
const TRIES: i64 = 12;
/// Pauses between tries double from one interval up to this many.
const LONGEST_PAUSE: u32 = 24;

/// What a failed try is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Start of the pass: pauses are counted from there, so that they end with a poll and not just after one.
    pub(super) started: Timestamp,
    /// The interval between two listings.
    pub(super) interval: Duration,
}

impl Terms {
    /// The try counts: there will be another after a pause, unless there were twelve.
    pub(super) fn counted(&self, document: &Claimed) -> Condition {
        let tries = document.attempts.saturating_add(1);
        if tries >= TRIES { Condition::Abandoned } else { Condition::Failed(self.next_try(tries)) }
    }

    /// When the try after number `tries` (1, 2, …) may come.
    fn next_try(&self, tries: i64) -> Timestamp {
        let doubled = u32::try_from(tries - 1).ok().and_then(|exponent| 2_u32.checked_pow(exponent));
        let factor = doubled.map_or(LONGEST_PAUSE, |factor| factor.min(LONGEST_PAUSE));
        after(self.started, self.interval, factor)
    }
}

/// The latest next try that can have been set at or before `now`.
pub(super) fn latest_try(now: Timestamp, interval: Duration) -> Timestamp {
    after(now, interval, LONGEST_PAUSE)
}

fn after(time: Timestamp, interval: Duration, factor: u32) -> Timestamp {
    let pause = SignedDuration::try_from(interval.saturating_mul(factor)).unwrap_or(SignedDuration::MAX);
    time.checked_add(pause).unwrap_or(Timestamp::MAX)
}

/// A document that the platform no longer has, or denies: lost where a download of ours may have been what took it.
pub(super) fn unknown(document: &Claimed, detail: String) -> Refusal {
    let asked = document.interruptions > 0 || document.quarantine_sha256.is_some();
    let (condition, error) = if asked {
        let why = "it was asked for before, and that download did not arrive whole";
        (Condition::Lost, format!("{detail}; {why}"))
    } else {
        (Condition::Gone, detail)
    };
    Refusal { id: document.id, condition, in_doubt: false, error: Some(error), quarantine: None }
}

/// A body that arrived whole and is no return: the same bytes twice end the tries.
pub(super) fn refused(document: &Claimed, terms: &Terms, reason: &str, path: String, sha256: String) -> Refusal {
    let again = document.quarantine_sha256.as_deref() == Some(sha256.as_str());
    let condition = if again { Condition::Abandoned } else { terms.counted(document) };
    let error = Some(format!("{reason}; the bytes are set aside in {path}"));
    Refusal { id: document.id, condition, in_doubt: false, error, quarantine: Some((path, sha256)) }
}

/// A document larger than `limit` bytes.
pub(super) fn too_large(document: &Claimed, limit: u64) -> Refusal {
    let error = format!(
        "the document is larger than max_document ({limit} bytes); raise [fast] max_document, then `vaguemestre retry`"
    );
    Refusal { id: document.id, condition: Condition::Abandoned, in_doubt: true, error: Some(error), quarantine: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(attempts: i64, interruptions: i64) -> Claimed {
        Claimed {
            id: 1,
            feed: "fast/mairie/chorus".parse().unwrap(),
            remote_id: "1".to_owned(),
            stem: "stem".to_owned(),
            attempts,
            interruptions,
            quarantine_sha256: None,
            setbacks: 0,
            origin: "https://parapheur.example".to_owned(),
            siren: "213400172".to_owned(),
            circuit: None,
            label: None,
            file: None,
        }
    }

    #[test]
    fn pauses_double_from_one_interval_to_twelve_hours_and_end_after_twelve_tries() {
        let started: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let terms = Terms { started, interval: Duration::from_secs(1800) };
        let minutes: Vec<Option<i64>> = (0..13)
            .map(|attempts| match terms.counted(&claimed(attempts, 0)) {
                Condition::Failed(next) => Some(next.duration_since(started).as_mins()),
                _ => None,
            })
            .collect();
        let expected = [30, 60, 120, 240, 480, 720, 720, 720, 720, 720, 720].map(Some);
        assert_eq!(minutes[..11], expected);
        assert_eq!(minutes[11..], [None, None]);
    }

    #[test]
    fn what_the_platform_denies_is_lost_only_if_we_may_have_taken_it() {
        assert_eq!(unknown(&claimed(0, 0), "404".to_owned()).condition, Condition::Gone);
        assert_eq!(unknown(&claimed(3, 0), "404".to_owned()).condition, Condition::Gone);
        assert_eq!(unknown(&claimed(0, 1), "404".to_owned()).condition, Condition::Lost);
    }
}
