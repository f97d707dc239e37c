//! A resource of Douane or PISTE: asked whether it has changed, and kept if so.

use super::tally::Verdict;
use super::version::{self, Kept, Subject};
use super::{Claim, Feed, Poller, Remainder, Seen, Summary};
use crate::connector::resource::{Held, Resource, Visit};
use crate::ledger::{LedgerError, Outcome, SubjectAnswer, Validators};

/// What a visit is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Its path at the API.
    pub(super) path: &'a str,
    /// JSON pointers that make no version.
    pub(super) ignore: &'a [String],
}

/// Visits the resource of `feed`, and keeps what has changed.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn visit(
    poller: &Poller,
    feed: &Feed,
    claim: &Claim,
    way: &Resource,
    place: Place<'_>,
) -> Result<(Verdict, Seen), LedgerError> {
    let id = feed.name.kind();
    poller.ledger.drop_unkept_versions(Some(&feed.name)).await?;
    // Without a version in hand «not changed» would say nothing.
    let held = match poller.ledger.latest_version(&feed.name, id).await? {
        Some(_) => poller.ledger.validators(&feed.name, id).await?,
        None => Validators::default(),
    };
    let asked = poller.clock.now();
    let held = Held { etag: held.etag, last_modified: held.last_modified };
    let (body, validators) = match way.visit(place.path, &held).await {
        Ok(Visit::Unchanged) => return answered(poller, feed, 304, None, 0).await,
        Ok(Visit::Answer { body, held: Held { etag, last_modified } }) => (body, Validators { etag, last_modified }),
        Err(error) => {
            let refusal = SubjectAnswer { answer: Some(error.to_string()), setbacks: 1, ..SubjectAnswer::default() };
            poller.ledger.answer_subject(&feed.name, id, refusal, poller.clock.now()).await?;
            return Ok((Verdict::failed(error.to_string(), poller.asked_to_wait(&error)), Seen::default()));
        }
    };
    let subject = Subject { id, asked, poll: claim.poll, ignore: place.ignore };
    match version::keep(poller, feed, subject, &body).await? {
        Kept::New => answered(poller, feed, 200, Some(validators), 1).await,
        Kept::Same => answered(poller, feed, 200, Some(validators), 0).await,
        Kept::Refused(why) => Ok(failed(why, Remainder::None)),
        Kept::Broken(error) => Ok(failed(error.to_string(), Remainder::None)),
        Kept::TooLarge(limit) => Ok(failed(format!("the answer is larger than {limit} bytes"), Remainder::None)),
        Kept::Disk(why) => Ok(failed(why, Remainder::Disk)),
    }
}

async fn answered(
    poller: &Poller,
    feed: &Feed,
    status: u16,
    validators: Option<Validators>,
    fetched: u64,
) -> Result<(Verdict, Seen), LedgerError> {
    let answer = SubjectAnswer { status: Some(status), validators, ..SubjectAnswer::default() };
    poller.ledger.answer_subject(&feed.name, feed.name.kind(), answer, poller.clock.now()).await?;
    let summary = Summary { outcome: Outcome::Ok, listed: None, fetched, failed: 0, error: None };
    let verdict = Verdict { summary, ..Verdict::nothing() };
    Ok((verdict, Seen { listed: Some(1), ..Seen::default() }))
}

fn failed(why: String, remainder: Remainder) -> (Verdict, Seen) {
    let mut verdict = Verdict::failed(why, None);
    verdict.remainder = remainder;
    (verdict, Seen::default())
}
