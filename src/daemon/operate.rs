//! What operators do by hand: `poll`, `retry`, `dismiss`, `token`. Done by whoever holds the state directory: the daemon on a
//! command's request, or the command itself.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::{Deserialize, Serialize};

use super::House;
use crate::archive::layout;
use crate::config::Patterns;
use crate::feed::{DocumentState, FeedName};
use crate::ledger::{Action, DocumentRow, LedgerError, Outcome, Request};
use crate::log::event;
use crate::poll::{Feed, Report, Summary};
use crate::token::{Manager, TokenError};

/// A document left the state in which the order was judged.
const CHANGED: &str = "its state has just changed; look again";
/// Feeds that a command starts per second: no burst, even by hand.
const PER_SECOND: u64 = 10;

/// An operator's order, as it is handed to the daemon in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
pub enum Order {
    /// One pass over feeds: the named ones, or all that are due.
    Poll {
        /// Patterns of feed or account names; none: all that are due.
        selectors: Vec<String>,
    },
    /// Makes documents eligible again.
    Retry {
        /// The feed.
        feed: String,
        /// The documents' remote ids.
        ids: Vec<String>,
        /// Takes quarantined bytes as the document.
        accept: bool,
        /// Downloads a held document again.
        again: bool,
    },
    /// Closes abandoned or lost documents.
    Dismiss {
        /// The feed.
        feed: String,
        /// The documents' remote ids.
        ids: Vec<String>,
        /// Why.
        reason: String,
    },
    /// Sees to it that the ledger holds a token; whoever asks takes it from there, so that none lies in a request.
    Token {
        /// The account.
        account: String,
    },
}

impl Order {
    /// The command's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Poll { .. } => "poll",
            Self::Retry { .. } => "retry",
            Self::Dismiss { .. } => "dismiss",
            Self::Token { .. } => "token",
        }
    }
}

/// What a command prints, and exits with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Lines for people.
    pub text: String,
    /// 0, 1 or 75.
    pub exit_code: u8,
}

impl Answer {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn worsen(&mut self, exit_code: u8) {
        self.exit_code = self.exit_code.max(exit_code);
    }
}

/// Carries out a request that a command left in the ledger.
pub(super) async fn carry_out(house: &House, request: Request) {
    let answer = match serde_json::from_str::<Order>(&request.arguments) {
        Ok(order) => obey(house, &order, &request.actor).await,
        Err(error) => {
            Ok(Answer { text: format!("the daemon does not understand this request: {error}\n"), exit_code: 1 })
        }
    };
    let answer = answer.unwrap_or_else(|error| Answer { text: format!("{error}: {}\n", error.remedy()), exit_code: 1 });
    if let Err(error) = house.ledger.answer(request.id, answer.text, answer.exit_code).await {
        tracing::error!(
            event = event::LEDGER_FAILED,
            kind = error.kind(),
            "{} of {} could not be answered: {error}",
            request.command,
            request.actor
        );
    }
}

/// Carries out `order` for `actor`, and records it.
///
/// # Errors
/// When the ledger fails.
pub async fn obey(house: &House, order: &Order, actor: &str) -> Result<Answer, LedgerError> {
    // Programs ask for tokens, again and again: no act of an operator.
    if !matches!(order, Order::Token { .. }) {
        record(house, order, actor).await?;
    }
    match order {
        Order::Poll { selectors } => poll(house, selectors).await,
        Order::Retry { feed, ids, accept, again } => {
            each(house, feed, ids, &Act::Retry { accept: *accept, again: *again }).await
        }
        Order::Dismiss { feed, ids, reason } => each(house, feed, ids, &Act::Dismiss(reason)).await,
        Order::Token { account } => Ok(token(&house.tokens, account).await),
    }
}

/// Sees to it that the ledger holds a token of `account`. The answer is empty, or a line that says why it holds none and
/// one that says what to do.
async fn token(tokens: &Arc<Manager>, account: &str) -> Answer {
    match tokens.token(account).await {
        Ok(_) => Answer::default(),
        Err(error) => refuse(&error),
    }
}

/// What a command is told that gets no token.
#[must_use]
pub fn refuse(error: &TokenError) -> Answer {
    let exit_code = if error.is_temporary() { 75 } else { 1 };
    Answer { text: format!("{error}\n{}\n", error.remedy()), exit_code }
}

async fn record(house: &House, order: &Order, actor: &str) -> Result<(), LedgerError> {
    let detail = serde_json::to_string(order).unwrap_or_default();
    tracing::info!(event = event::OPERATOR_COMMAND, actor, command = order.name(), detail, "{actor}: {}", order.name());
    let action = Action { actor: actor.to_owned(), command: order.name().to_owned(), detail };
    house.ledger.record_action(action, house.clock.now()).await
}

async fn poll(house: &House, selectors: &[String]) -> Result<Answer, LedgerError> {
    let mut answer = Answer::default();
    let plan = house.plan();
    let mut feeds: Vec<&Feed> = plan.catalog.values().collect();
    if !selectors.is_empty() {
        match Patterns::parse(selectors.to_vec()) {
            Ok(patterns) => feeds.retain(|feed| patterns.matches(&feed.name)),
            Err(error) => return Ok(Answer { text: format!("{error}\n"), exit_code: 1 }),
        }
        if feeds.is_empty() {
            let text = format!(
                "no feed of the configuration matches {}; `vaguemestre status` lists them\n",
                selectors.join(" ")
            );
            return Ok(Answer { text, exit_code: 1 });
        }
    }
    feeds.sort_by(|a, b| a.name.cmp(&b.name));
    if house.poller.room.is_low() {
        let text = "free space is below [state] reserve: nothing is collected; make room on that disk\n".to_owned();
        return Ok(Answer { text, exit_code: 75 });
    }
    let now = house.clock.now();
    let mut passes = FuturesUnordered::new();
    for feed in feeds {
        let Some(due) = house.ledger.feed(&feed.name).await? else {
            if !selectors.is_empty() {
                answer.line(&format!("{}: is being polled already", feed.name));
            }
            continue;
        };
        let waits = due.planned <= now || due.resume_at.is_some_and(|at| at <= now);
        if !selectors.is_empty() || waits {
            let delay = Duration::from_millis(1000 * passes.len() as u64 / PER_SECOND);
            passes.push(pass(house, feed, delay));
        }
    }
    if passes.is_empty() && answer.text.is_empty() {
        answer.line("no feed is due; `vaguemestre plan` shows when each will be");
    }
    while let Some((feed, report)) = passes.next().await {
        match report? {
            Some(report) => describe(&mut answer, &feed.name, report),
            None => {
                answer.line(&format!("{}: not polled: the daemon stops", feed.name));
                answer.worsen(75);
            }
        }
    }
    Ok(answer)
}

/// One pass of `feed` after `delay`; no report where the daemon stops before it began.
async fn pass<'a>(
    house: &'a House,
    feed: &'a Feed,
    delay: Duration,
) -> (&'a Feed, Result<Option<Report>, LedgerError>) {
    let mut stopping = house.poller.stopping.clone();
    tokio::select! {
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => return (feed, Ok(None)),
        () = tokio::time::sleep(delay) => {}
    }
    // Read now: while this waited for its turn, the dispatcher may have polled the feed.
    let due = match house.ledger.feed(&feed.name).await {
        Ok(Some(due)) => due,
        Ok(None) => return (feed, Ok(Some(Report::Busy))),
        Err(error) => return (feed, Err(error)),
    };
    let token = house.poller.token();
    let report = match house.poller.poll(feed, &due, &token).await {
        // Not to be listed yet; documents that wait need no listing.
        Ok(Report::Postponed(until)) if due.resume_at.is_some() => match house.poller.resume(feed, &token).await {
            Ok(Report::Busy) => Ok(Report::Postponed(until)),
            other => other,
        },
        other => other,
    };
    if report.is_err() {
        // In a daemon, for the feed's next poll; a command alone ends soon, and its claims with it.
        let (poller, name) = (Arc::clone(&house.poller), feed.name.clone());
        tokio::spawn(async move { poller.let_go(&name, &token).await });
    }
    // A pass for which no place came free before the stop was not begun either.
    let begun = |report: Report| (report != Report::Busy || !*house.poller.stopping.borrow()).then_some(report);
    (feed, report.map(begun))
}

fn describe(answer: &mut Answer, feed: &FeedName, report: Report) {
    match report {
        Report::Busy => answer.line(&format!("{feed}: is being polled already")),
        Report::Postponed(until) => {
            let at = until.to_zoned(crate::schedule::paris().clone()).strftime("%Y-%m-%d %H:%M:%S");
            answer.line(&format!("{feed}: may not be listed before {at} (Paris)"));
        }
        Report::Ended(Summary { outcome, listed, fetched, failed, error }) => {
            let mut line = format!("{feed}: {}", outcome.as_str());
            if let Some(listed) = listed {
                let _ = write!(line, ", {listed} listed");
            }
            let _ = write!(line, ", {fetched} fetched, {failed} failed");
            if let Some(error) = error {
                let _ = write!(line, ": {error}");
            }
            answer.line(&line);
            if outcome != Outcome::Ok {
                answer.worsen(75);
            }
        }
    }
}

/// What is done to each of some documents.
enum Act<'a> {
    Retry { accept: bool, again: bool },
    Dismiss(&'a str),
}

/// Does `act` to each document; a refusal is a line and exit code 1, and the others go on.
async fn each(house: &House, feed: &str, ids: &[String], act: &Act<'_>) -> Result<Answer, LedgerError> {
    let mut answer = Answer::default();
    let feed: FeedName = match feed.parse() {
        Ok(feed) => feed,
        Err(error) => return Ok(Answer { text: format!("{error}\n"), exit_code: 1 }),
    };
    for id in ids {
        let outcome = match act {
            Act::Retry { accept, again } => retry(house, &feed, id, *accept, *again).await?,
            Act::Dismiss(reason) => dismiss(house, &feed, id, reason).await?,
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
    if !house.ledger.reopen(id, state, None).await? {
        return Ok(Err(CHANGED.to_owned()));
    }
    let now = house.clock.now();
    let stem = layout::stem(feed, remote_id, now);
    let Some(claimed) = house.ledger.claim_document(id, &house.poller.run, stem, now).await? else {
        return Ok(Err("is being fetched this moment; try again".to_owned()));
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

/// The house without a daemon: opened for one order, and closed.
///
/// # Errors
/// When the ledger fails.
pub async fn obey_alone(house: &Arc<House>, order: &Order, actor: &str) -> Result<Answer, LedgerError> {
    // What a run that died left needs no listing: the daemon takes it up at its start, and so do we.
    let now = house.clock.now();
    let left = house.ledger.feeds_to_resume().await?;
    house.ledger.resume_feeds(left.into_iter().map(|feed| (feed, now)).collect()).await?;
    let answer = obey(house, order, actor).await?;
    house.deliver_once().await?;
    Ok(answer)
}
