//! `vaguemestre status`: how everything is going, worst first.

use std::collections::HashSet;
use std::io::{IsTerminal as _, Write};

use clap::Args;
use jiff::Timestamp;

use super::selection::Selection;
use super::{Context, Outcome, exit, nagios, print, runtime};
use crate::daemon::apis;
use crate::delivery;
use crate::feed::FeedName;
use crate::ledger::Ledger;
use crate::status::{self, AccountStatus, FeedStatus, Health, Overview, QuotaStatus, Recipients, TargetStatus};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// One JSON object
    #[arg(long)]
    json: bool,
    /// One line and an exit code for Nagios and its like: 0 OK, 1 warning, 2 critical, 3 unknown
    #[arg(long, conflicts_with = "json")]
    nagios: bool,
    #[command(flatten)]
    thresholds: nagios::Thresholds,
    /// Feed or account names, with globs; none: everything
    #[arg(value_name = "SELECTOR")]
    selectors: Vec<String>,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    if arguments.nagios {
        return for_nagios(context, arguments);
    }
    let overview = match gather(context, arguments)? {
        Ok(overview) => overview,
        Err(code) => return Ok(code),
    };
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &overview)?;
        writeln!(out)?;
    } else {
        let coloured = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
        show(&mut out, &overview, coloured)?;
    }
    out.flush()?;
    Ok(if overview.healthy { exit::DONE } else { exit::FAILURE })
}

/// Whatever goes wrong is «unknown» there, on one line of standard output.
fn for_nagios(context: &Context, arguments: &Arguments) -> Outcome {
    let (line, code) = match gather(context, arguments) {
        Ok(Ok(overview)) => nagios::report(&overview, arguments.thresholds),
        Ok(Err(_)) => ("VAGUEMESTRE UNKNOWN - the configuration is invalid".to_owned(), nagios::UNKNOWN),
        Err(error) => (format!("VAGUEMESTRE UNKNOWN - {}", print::one_line(&error)), nagios::UNKNOWN),
    };
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(code)
}

/// Reads what there is to tell; the inner error is the exit code of a configuration that is invalid.
fn gather(context: &Context, arguments: &Arguments) -> anyhow::Result<Result<Overview, u8>> {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(Err(code)),
    };
    context.start_log();
    let selection = Selection::parse(&arguments.selectors)?;
    context.enter(&settings)?;
    let overview = runtime()?.block_on(async {
        let ledger = Ledger::open_reading(&settings.state.directory)
            .await
            .map_err(|error| print::with_remedy(error.remedy(), error))?;
        let now = context.clock.now();
        let directory = &settings.state.directory;
        let interval = |feed: &FeedName| apis::every(&settings, feed).unwrap_or(settings.schedule.interval);
        let targets = Recipients { targets: &settings.delivery.targets, look: true };
        let overview = status::overview(&ledger, directory, interval, targets, now, |feed| selection.holds(feed)).await;
        ledger.close().await;
        overview.map_err(|error| print::with_remedy(error.remedy(), error))
    })?;
    selection.require(!(overview.feeds.is_empty() && overview.accounts.is_empty()), &arguments.selectors)?;
    Ok(Ok(overview))
}

/// Writes it all for people; `coloured` on a terminal.
pub(super) fn show(out: &mut impl Write, overview: &Overview, coloured: bool) -> std::io::Result<()> {
    writeln!(out, "vaguemestre: {}", overview.summary)?;
    for account in overview.accounts.iter().filter(|account| account.needs_words()) {
        for words in words(account) {
            writeln!(out, "  account {}: {words}", account.account)?;
        }
    }
    if let Some(ban) = &overview.ban {
        let (since, until) = (print::paris_time(Some(ban.since)), print::paris_time(ban.until));
        writeln!(
            out,
            "  {} seems to have banned this machine since {since}, until {until} at the latest ({}): nothing is \
            asked but one /ping an hour; if you know better: `vaguemestre lift entreprise/ACCOUNT`",
            ban.origin, ban.reason
        )?;
    }
    for target in &overview.targets {
        for words in target_words(target, overview.at) {
            writeln!(out, "  target {}: {words}", target.target)?;
        }
    }
    for quota in &overview.quotas {
        writeln!(out, "  quota {}", quota_words(quota))?;
    }
    writeln!(out)?;
    let rows: Vec<Vec<String>> = overview.feeds.iter().map(row).collect();
    let colour = |row: usize| coloured.then(|| colour(overview.feeds[row].health)).flatten();
    print::table(
        out,
        &["FEED", "HEALTH", "LAST LISTING", "OUTCOME", "NEXT POLL", "HELD", "FAILED", "IN DOUBT", "TO DELIVER"],
        &rows,
        (1, &colour),
    )?;
    let mut first = true;
    let problems: HashSet<&str> = overview.accounts.iter().filter_map(|account| account.problem.as_deref()).collect();
    let remarks = |feed| remarks(feed, &problems).into_iter().map(move |text| (feed, text));
    for (feed, remark) in overview.feeds.iter().flat_map(remarks) {
        if std::mem::take(&mut first) {
            writeln!(out)?;
        }
        writeln!(out, "  {}: {remark}", feed.feed)?;
    }
    Ok(())
}

/// How a health is shown on a terminal: red for what needs a person, yellow for what may pass, green for what is well.
fn colour(health: Health) -> Option<&'static str> {
    match health {
        Health::Failing | Health::Attention => Some("31;1"),
        Health::Troubled => Some("33"),
        Health::Well => Some("32"),
        Health::New | Health::Retired => None,
    }
}

/// What is wrong with a target, with what to do.
fn target_words(target: &TargetStatus, now: Timestamp) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(problem) = &target.problem {
        let since = print::paris_time(target.problem_since);
        words.push(format!("nothing can be delivered since {since}, {} wait: {problem}", target.waiting));
    }
    if let (Some(file), Some(since)) = (&target.stale_file, target.stale_since) {
        let age = delivery::stale::age(since, now);
        words.push(format!(
            "nobody empties it: {} lies there for {age}; see whether the business software runs",
            file.display()
        ));
    }
    words
}

fn quota_words(quota: &QuotaStatus) -> String {
    let QuotaStatus { bucket, per_minute, left, present, closed_until } = quota;
    match closed_until {
        Some(until) => format!("{bucket}: closed by the platform until {}", print::paris_time(Some(*until))),
        None if *present => format!("{bucket}: {left} calls left of our share of {per_minute} in this minute"),
        None => format!("{bucket}: nothing used of {per_minute} calls a minute in this minute"),
    }
}

fn words(account: &AccountStatus) -> Vec<String> {
    let mut words: Vec<String> = account.problem.iter().cloned().collect();
    if let Some(until) = account.refused_until {
        let until = print::paris_time(Some(until));
        words.push(format!("nothing is asked of its platform until its credentials change, or {until}"));
    }
    if let Some(days) = account.token_days.filter(|_| words.is_empty()) {
        words.push(match days {
            ..0 => "its token has expired, it says; have it renewed".to_owned(),
            _ => format!("its token ends in {days} days; have it renewed in time"),
        });
        return words;
    }
    match (account.token_seconds, account.certificate_days) {
        (Some(seconds), _) => words.push(format!("its token lives for {seconds} s")),
        (None, _) if account.works_by_token && words.is_empty() => {
            words.push("holds no token: none was needed".to_owned())
        }
        (None, Some(days)) if words.is_empty() => {
            words.push(format!("its certificate {}", status::certificate_end(days)));
        }
        _ => {}
    }
    words
}

fn row(feed: &FeedStatus) -> Vec<String> {
    let outcome = feed.last_outcome.clone().unwrap_or_else(|| "-".to_owned());
    vec![
        feed.feed.clone(),
        feed.health.as_str().to_owned(),
        print::paris_time(feed.last_listed_at),
        outcome,
        print::paris_time(feed.next_poll_at),
        feed.held.to_string(),
        (feed.failed + feed.abandoned + feed.lost).to_string(),
        feed.in_doubt.to_string(),
        feed.waiting_deliveries.to_string(),
    ]
}

/// What the table cannot say, with what to do. Accounts' `problems` stand above already, once for all of their feeds.
fn remarks(feed: &FeedStatus, problems: &HashSet<&str>) -> Vec<String> {
    let mut remarks = Vec::new();
    if feed.health == Health::Retired {
        return remarks;
    }
    if let Some(error) = feed.error.as_deref().filter(|error| !problems.contains(error)) {
        match feed.failing_since {
            Some(since) => remarks.push(format!("fails since {}: {error}", print::paris_time(Some(since)))),
            None => remarks.push(format!("last poll: {error}")),
        }
    }
    if let Some(from) = feed.purged_from {
        let from = print::paris_time(Some(from));
        remarks.push(format!(
            "what lies on the platform is purged after 15 days: the first of it may be LOST from {from} on"
        ));
    }
    if let Some(error) = &feed.release_error {
        let (all, failed) = (feed.unreleased, feed.failed_releases);
        remarks.push(format!(
            "{all} held and not yet removed from the platform ({failed} would not go; tried again at each poll): {error}"
        ));
    } else if feed.unreleased > 0 {
        remarks.push(format!("{} held, to be removed from the platform at the next poll", feed.unreleased));
    }
    if let Some(leader) = &feed.listed_with {
        remarks.push(format!("listed with {leader}: the same folders hold both"));
    }
    remarks.extend(feed.note.clone());
    let lines = [
        (feed.recognised, "had come over another interface before: recognised by their bytes, not delivered again"),
        (feed.abandoned, "abandoned: see `vaguemestre documents --state abandoned`, then `retry` or `dismiss`"),
        (feed.lost, "lost: ask FAST support for them, then `retry` or `dismiss` (`documents --state lost` lists them)"),
        (feed.gone, "gone: another client collects this SIREN as well (`documents --state gone` lists them)"),
        (
            feed.abandoned_deliveries,
            "could not be delivered for a week, and are tried no more: mend that (`vaguemestre show` says what it was), then \
             `vaguemestre replay`",
        ),
        (feed.failed_deliveries, "could not be delivered yet: see the log, or table deliveries of the ledger"),
        (feed.still_listed, "held already, and still listed by the platform: left alone"),
        (feed.refused_entries, "entries of the last listing are no ids: left alone"),
        (feed.skipped - feed.passed_over, "skipped, as first_poll asks; `retry` fetches one all the same"),
        (
            feed.passed_over,
            "are of a kind that is not collected: left on the platform, which purges them after 15 days; add their kind to \
             `feeds` (`documents --state skipped` says which)",
        ),
        (
            feed.other_interface,
            "were listed over another interface than the account uses now: they wait for its return, or are listed by this one \
             under other ids",
        ),
    ];
    remarks.extend(lines.iter().filter(|(count, _)| *count > 0).map(|(count, text)| format!("{count} {text}")));
    remarks
}
