//! What operators do by hand: `poll`, `retry`, `replay`, `dismiss`, `token`. Done by whoever holds the state directory: the daemon on a
//! command's request, or the command itself.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::dispatcher::{self, Late};
use super::replay::Wanted;
use super::{House, by_hand, forget, replay, telling};
use crate::config::Patterns;
use crate::feed::FeedName;
use crate::ledger::{Action, LedgerError, Outcome, Request};
use crate::log::event;
use crate::poll::{Feed, Report, Summary};
use crate::token::{Manager, TokenError};

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
    /// Fetches acknowledgements once more, where the archive has lost them.
    Recover {
        /// The feed.
        feed: String,
        /// The documents' remote ids.
        ids: Vec<String>,
    },
    /// Delivers archived documents again.
    Replay {
        /// The feed.
        feed: String,
        /// The documents' remote ids; none: all that were stored at `since` or later.
        ids: Vec<String>,
        /// None: all there are.
        since: Option<Timestamp>,
        /// Only what was given up.
        #[serde(default)]
        abandoned: bool,
        /// Only to this target.
        target: Option<String>,
        /// Only says how many.
        dry_run: bool,
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
    /// Forgets an account that is no longer configured.
    Forget {
        /// The account.
        account: String,
        /// Does it; else only says what that would mean.
        yes: bool,
    },
    /// Sends a test to those who are told alerts.
    Alert {
        /// Their names; none: all of them.
        names: Vec<String>,
    },
    /// Asks API Entreprise again, though it seems to have banned this machine or has refused the account.
    Lift {
        /// The account.
        account: String,
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
            Self::Recover { .. } => "recover",
            Self::Replay { .. } => "replay",
            Self::Dismiss { .. } => "dismiss",
            Self::Forget { .. } => "forget",
            Self::Alert { .. } => "alert",
            Self::Lift { .. } => "lift",
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
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    pub(super) fn worsen(&mut self, exit_code: u8) {
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
    // Programs ask for tokens, again and again: no act of an operator. Nor is a question.
    if !matches!(order, Order::Token { .. } | Order::Replay { dry_run: true, .. } | Order::Forget { yes: false, .. }) {
        record(house, order, actor).await?;
    }
    match order {
        Order::Poll { selectors } => poll(house, selectors).await,
        Order::Retry { feed, ids, accept, again } => {
            by_hand::each(house, feed, ids, &by_hand::Act::Retry { accept: *accept, again: *again }).await
        }
        Order::Recover { feed, ids } => by_hand::each(house, feed, ids, &by_hand::Act::Recover).await,
        Order::Replay { feed, ids, since, abandoned, target, dry_run } => {
            let (target, abandoned) = (target.as_deref(), *abandoned);
            let wanted = Wanted { ids, since: *since, abandoned, target, dry_run: *dry_run };
            replay::replay(house, feed, &wanted).await
        }
        Order::Dismiss { feed, ids, reason } => by_hand::each(house, feed, ids, &by_hand::Act::Dismiss(reason)).await,
        Order::Forget { account, yes } => forget::forget(house, account, *yes).await,
        Order::Alert { names } => telling::test(house, names).await,
        Order::Lift { account } => lift(house, account).await,
        Order::Token { account } => Ok(token(&house.tokens, account).await),
    }
}

/// Has API Entreprise asked again at once, for the operator knows better.
async fn lift(house: &House, account: &str) -> Result<Answer, LedgerError> {
    let plan = house.plan();
    let known = plan.settings.entreprise.iter().flat_map(|it| &it.accounts);
    let known = known.map(|it| format!("entreprise/{}", it.name)).any(|name| name == account);
    let (Some(desk), true) = (&plan.desk, known) else {
        let text =
            format!("{account} is no account of API Entreprise; name it entreprise/NAME (`vaguemestre config`)\n");
        return Ok(Answer { text, exit_code: 1 });
    };
    let was_banned = desk.lift().await?;
    super::apis::enrol(house, &plan.catalog, true).await?;
    let mut answer = Answer::default();
    answer.line(if was_banned {
        "the ban is no longer assumed; closed quotas are open, and what is due is asked about again"
    } else {
        "no ban was assumed; closed quotas and refused watches are open, and what is due is asked about again"
    });
    Ok(answer)
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
    // What rides along is listed with its leader.
    let leaders: Vec<&Feed> = feeds.iter().filter_map(|feed| plan.catalog.get(feed.led_by.as_ref()?)).collect();
    feeds.extend(leaders);
    feeds.sort_by(|a, b| a.name.cmp(&b.name));
    feeds.dedup_by(|a, b| a.name == b.name);
    if let Some(obstacle) = house.poller.obstacle() {
        return Ok(Answer { text: format!("{obstacle}\n"), exit_code: 75 });
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
        let resumes = due.resume_at.is_some_and(|at| at <= now);
        let wanted =
            if feed.led_by.is_some() { resumes } else { !selectors.is_empty() || due.planned <= now || resumes };
        if wanted {
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
    let polled = match feed.led_by {
        Some(_) => house.poller.resume(feed, &token).await,
        None => house.poller.poll(feed, &due, &token).await,
    };
    let report = match polled {
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
        Report::Obstructed(why) => {
            answer.line(&format!("{feed}: not polled: {why}"));
            answer.worsen(75);
        }
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

/// The house without a daemon: opened for one order, and closed.
///
/// # Errors
/// When the ledger fails.
pub async fn obey_alone(house: &Arc<House>, order: &Order, actor: &str) -> Result<Answer, LedgerError> {
    // What a run that died left needs no listing: the daemon takes it up at its start, and so do we.
    let now = house.clock.now();
    // Nor would what a clock set back since has planned ever be due.
    dispatcher::spread(house, now, Late::Absurd).await?;
    let left = house.ledger.feeds_to_resume().await?;
    house.ledger.resume_feeds(left.into_iter().map(|feed| (feed, now)).collect()).await?;
    let answer = obey(house, order, actor).await?;
    house.deliver_once().await?;
    Ok(answer)
}
