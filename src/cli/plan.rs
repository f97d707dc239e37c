//! `vaguemestre plan`: when each feed would be polled, were every poll successful. Touches nothing.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io::Write;
use std::sync::Arc;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::selection::Selection;
use super::{Context, Outcome, exit, print, runtime};
use crate::config::Settings;
use crate::daemon::apis;
use crate::daemon::assemble::{self, AssemblyError};
use crate::feed::FeedName;
use crate::ledger::{Ledger, LedgerError};
use crate::schedule::{Cadence, Plan, Seed};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// From when on [default: now]
    #[arg(long, value_name = "TIME", value_parser = super::selection::time)]
    from: Option<Timestamp>,
    /// For how long
    #[arg(long = "for", value_name = "SPAN", default_value = "24h", value_parser = super::selection::span)]
    span: SignedDuration,
    /// One JSON object per line: {"feed", "at"}
    #[arg(long)]
    json: bool,
    /// Feed or account names, with globs; none: all
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
}

/// What the ledger, if there is one, knows of the schedule.
struct Known {
    seed: Seed,
    next: HashMap<FeedName, Timestamp>,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    let selection = Selection::parse(&arguments.selectors)?;
    context.enter(&settings)?;
    let now = context.clock.now();
    let from = arguments.from.unwrap_or(now);
    let until = from.checked_add(arguments.span)?;
    let known = runtime()?.block_on(known(&settings, now))?;
    let feeds = feeds(&settings, &selection).map_err(|error| print::with_remedy(error.remedy(), error))?;
    selection.require(!feeds.is_empty(), &arguments.selectors)?;
    let leaders = assemble::leaders(&settings);
    let firsts = firsts(&feeds, &leaders, &known, now);
    let mut out = std::io::BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let seed = known.seed;
    let plans: Vec<(&FeedName, Plan<'_>)> = feeds
        .iter()
        .zip(firsts)
        .map(|((feed, cadence), first)| {
            let drawn = leaders.get(feed).unwrap_or(feed);
            (feed, cadence.plan(&seed, drawn.as_str(), first, until))
        })
        .collect();
    merge(plans, |feed, at| if at < from { Ok(()) } else { write(&mut out, arguments.json, feed, at) })?;
    out.flush()?;
    Ok(exit::DONE)
}

async fn known(settings: &Settings, now: Timestamp) -> anyhow::Result<Known> {
    match Ledger::open_reading(&settings.state.directory).await {
        Ok(ledger) => {
            let rows = ledger.feeds().await;
            let seed = Seed(ledger.seed());
            ledger.close().await;
            let rows = rows.map_err(|error| print::with_remedy(error.remedy(), error))?;
            let next = rows.into_iter().filter_map(|row| Some((row.feed, row.next_poll_at.filter(|&at| at > now)?)));
            Ok(Known { seed, next: next.collect() })
        }
        Err(LedgerError::Missing(_)) => {
            tracing::warn!(
                event = crate::log::event::LEDGER_MISSING,
                "no ledger yet: chance is drawn anew, and the daemon will draw otherwise"
            );
            let mut seed = [0; 32];
            getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
            Ok(Known { seed: Seed(seed), next: HashMap::new() })
        }
        Err(error) => Err(print::with_remedy(error.remedy(), error)),
    }
}

/// The feeds that are selected, each with its cadence, in the order of their names. A watch is shown by its rounds: each of
/// its subjects has its own time in them.
fn feeds(settings: &Settings, selection: &Selection) -> Result<Vec<(FeedName, Arc<Cadence>)>, AssemblyError> {
    let mut feeds = apis::cadences(settings)?;
    if let Some(fast) = &settings.fast {
        let cadence = Arc::new(assemble::cadence(settings, fast)?);
        let enabled = fast.accounts.iter().filter(|account| account.enabled);
        feeds.extend(enabled.flat_map(|account| account.feed_names()).map(|feed| (feed, Arc::clone(&cadence))));
    }
    feeds.retain(|(feed, _)| selection.holds(feed));
    feeds.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(feeds)
}

/// The first poll of each feed: as planned, or as a daemon started at `now` would draw it.
fn firsts(
    feeds: &[(FeedName, Arc<Cadence>)],
    leaders: &HashMap<FeedName, FeedName>,
    known: &Known,
    now: Timestamp,
) -> Vec<Timestamp> {
    let overdue = feeds.iter().filter(|(feed, _)| !known.next.contains_key(feed)).count();
    let first = |(feed, cadence): &(FeedName, Arc<Cadence>)| {
        let drawn = leaders.get(feed).unwrap_or(feed);
        known.next.get(feed).copied().unwrap_or_else(|| cadence.first(&known.seed, drawn.as_str(), now, overdue))
    };
    feeds.iter().map(first).collect()
}

/// Hands over the polls of all feeds in the order of time.
fn merge(
    mut plans: Vec<(&FeedName, Plan<'_>)>,
    mut each: impl FnMut(&FeedName, Timestamp) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut heads: BinaryHeap<Reverse<(Timestamp, usize)>> =
        plans.iter_mut().enumerate().filter_map(|(index, (_, plan))| Some(Reverse((plan.next()?, index)))).collect();
    while let Some(Reverse((at, index))) = heads.pop() {
        let (feed, plan) = &mut plans[index];
        each(feed, at)?;
        heads.extend(plan.next().map(|next| Reverse((next, index))));
    }
    Ok(())
}

fn write(out: &mut impl Write, json: bool, feed: &FeedName, at: Timestamp) -> std::io::Result<()> {
    let paris = at.to_zoned(crate::schedule::paris().clone());
    if json {
        writeln!(out, "{{\"feed\":\"{feed}\",\"at\":\"{}\"}}", paris.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z"))
    } else {
        writeln!(out, "{}  {feed}", paris.strftime("%Y-%m-%d %H:%M:%S"))
    }
}
