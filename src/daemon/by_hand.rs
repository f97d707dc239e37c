//! Documents dealt with by hand: made eligible again, taken from the quarantine, closed.

use super::House;
use super::operate::Answer;
use crate::archive::layout;
use crate::feed::{DocumentState, FeedName, Kind};
use crate::intake;
use crate::ledger::{DocumentRow, LedgerError};

/// A document left the state in which the order was judged.
const CHANGED: &str = "its state has just changed; look again";
/// What is done to each of some documents.
pub(super) enum Act<'a> {
    Retry { accept: bool, again: bool },
    Dismiss(&'a str),
    Recover,
}

/// Does `act` to each document; a refusal is a line and exit code 1, and the others go on.
pub(super) async fn each(house: &House, feed: &str, ids: &[String], act: &Act<'_>) -> Result<Answer, LedgerError> {
    let mut answer = Answer::default();
    let feed: FeedName = match feed.parse() {
        Ok(feed) => feed,
        Err(error) => return Ok(Answer { text: format!("{error}\n"), exit_code: 1 }),
    };
    for id in ids {
        let outcome = match act {
            Act::Retry { accept, again } => retry(house, &feed, id, *accept, *again).await?,
            Act::Dismiss(reason) => dismiss(house, &feed, id, reason).await?,
            Act::Recover => recover(house, &feed, id).await?,
        };
        match outcome {
            Ok(done) => answer.line(&format!("{feed} {id}: {done}")),
            Err(refused) => {
                answer.line(&format!("{feed} {id}: {refused}"));
                answer.worsen(1);
            }
        }
    }
    if answer.exit_code == 0 && house.plan().catalog.contains_key(&feed) {
        house.ledger.resume_if_open(&feed, house.clock.now()).await?;
    }
    Ok(answer)
}

async fn retry(
    house: &House,
    feed: &FeedName,
    remote_id: &str,
    accept: bool,
    again: bool,
) -> Result<Result<String, String>, LedgerError> {
    let Some((id, row, quarantine)) = house.ledger.document(feed, remote_id).await? else {
        return Ok(Err("the ledger knows no such document".to_owned()));
    };
    let Ok(state) = row.state.parse::<DocumentState>() else { return Ok(Err(format!("its state is {}", row.state))) };
    if house.ledger.is_version(id).await? {
        let what = "is a version of something that changes: what the platform says now is asked for by itself";
        return Ok(Err(what.to_owned()));
    }
    if accept {
        return self::accept(house, feed, remote_id, id, state, quarantine).await;
    }
    match state {
        DocumentState::Failed
        | DocumentState::Abandoned
        | DocumentState::Lost
        | DocumentState::Skipped
        | DocumentState::Gone
        | DocumentState::Dismissed => {
            let reopened = house.ledger.reopen(id, state, None).await?;
            Ok(unless_changed(reopened, format!("was {state}; will be fetched")))
        }
        DocumentState::Stored | DocumentState::Delivered if again => {
            let reopened = house.ledger.reopen(id, state, Some(second_stem(feed, &row, house))).await?;
            Ok(unless_changed(reopened, format!("was {state}; will be downloaded again")))
        }
        DocumentState::Stored | DocumentState::Delivered => {
            Ok(Err(format!("is {state}: held already; `--again` downloads it once more, deliberately")))
        }
        DocumentState::Listed | DocumentState::Fetching => Ok(Err(format!("is {state}: will be fetched anyway"))),
    }
}

/// What was done, unless someone else has dealt with the document meanwhile.
fn unless_changed(done: bool, what: String) -> Result<String, String> {
    if done { Ok(what) } else { Err(CHANGED.to_owned()) }
}

/// A second copy must not meet the first: its stem bears the second of its making.
fn second_stem(feed: &FeedName, row: &DocumentRow, house: &House) -> String {
    let now = house.clock.now();
    format!("{}.{}", layout::stem(feed, &row.remote_id, now), now.strftime("%Y%m%dT%H%M%SZ"))
}

async fn accept(
    house: &House,
    feed: &FeedName,
    remote_id: &str,
    id: i64,
    state: DocumentState,
    quarantine: Option<String>,
) -> Result<Result<String, String>, LedgerError> {
    if matches!(state, DocumentState::Stored | DocumentState::Delivered) {
        return Ok(Err(format!("is {state}: held already")));
    }
    let Some(path) = quarantine else {
        return Ok(Err("no bytes of it are set aside; `--accept` has nothing to take".to_owned()));
    };
    let stem = layout::stem(feed, remote_id, house.clock.now());
    let Some(claimed) = house.ledger.claim_accepted(id, state, &house.poller.run, stem).await? else {
        return Ok(Err(CHANGED.to_owned()));
    };
    match house.poller.intake.accept(&claimed, &path).await {
        Ok(()) => Ok(Ok(format!("the bytes of {path} are the document now"))),
        Err(error) => {
            let error = String::from(error);
            house.ledger.abandon_claim(id, error.clone()).await?;
            Ok(Err(format!("{path} could not be taken: {error}")))
        }
    }
}

/// Fetches an acknowledgement by the platform's way for documents that it has given out before; only where our copy is gone.
async fn recover(house: &House, name: &FeedName, remote_id: &str) -> Result<Result<String, String>, LedgerError> {
    let plan = house.plan();
    let Some(feed) =
        plan.catalog.get(name).filter(|_| name.platform() == "fast" && name.kind() == Kind::Acquittements.as_str())
    else {
        return Ok(Err("only acknowledgements of an account of FAST can be recovered".to_owned()));
    };
    let Some((id, row, _)) = house.ledger.document(name, remote_id).await? else {
        return Ok(Err("the ledger knows no such document".to_owned()));
    };
    let Ok(state) = row.state.parse::<DocumentState>() else { return Ok(Err(format!("its state is {}", row.state))) };
    let held = matches!(state, DocumentState::Stored | DocumentState::Delivered);
    if !held && !matches!(state, DocumentState::Lost | DocumentState::Gone) {
        return Ok(Err(format!("is {state}: `retry` fetches it in the usual way")));
    }
    if held && is_sound(house, &row).await {
        return Ok(Err(
            "its copy in the archive is sound; `retry --again` downloads it once more all the same".to_owned()
        ));
    }
    let stem = second_stem(name, &row, house);
    let Some(claimed) = house.ledger.claim_again(id, state, &house.poller.run, stem, house.clock.now()).await? else {
        return Ok(Err(CHANGED.to_owned()));
    };
    let recovered = house.poller.recover(feed, claimed, state).await?;
    Ok(recovered.map(|what| format!("was {state}; {what}")))
}

/// Whether the archived copy of a document still holds what was stored.
async fn is_sound(house: &House, row: &DocumentRow) -> bool {
    let (Some(path), Some(sha256)) = (row.archive_path.clone(), row.sha256.clone()) else { return false };
    let path = house.state.path().join(path);
    let measured = tokio::task::spawn_blocking(move || intake::measure(&path)).await;
    matches!(measured, Ok(Ok((_, found))) if found == sha256)
}

async fn dismiss(
    house: &House,
    feed: &FeedName,
    remote_id: &str,
    reason: &str,
) -> Result<Result<String, String>, LedgerError> {
    let Some((id, row, _)) = house.ledger.document(feed, remote_id).await? else {
        return Ok(Err("the ledger knows no such document".to_owned()));
    };
    match row.state.as_str() {
        "abandoned" | "lost" => {
            let dismissed = house.ledger.dismiss(id, format!("dismissed: {reason}")).await?;
            Ok(unless_changed(dismissed, format!("was {}; dismissed", row.state)))
        }
        state => Ok(Err(format!("is {state}: only abandoned and lost documents are dismissed"))),
    }
}
