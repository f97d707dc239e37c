//! `vaguemestre status`: how everything is going, worst first.

use std::collections::{BTreeMap, HashMap};
use std::io::{IsTerminal as _, Write};

use clap::Args;

use super::selection::Selection;
use super::{Context, Outcome, exit, nagios, print, runtime};
use crate::ledger::Ledger;
use crate::status::{self, AccountStatus, FeedStatus, Health, Overview, QuotaStatus, Severity, Terms, Trouble};
use crate::tongue::Tongue;

/// What stands above the table of feeds.
const HEADINGS: [&str; 9] =
    ["FEED", "HEALTH", "LAST LISTING", "OUTCOME", "NEXT POLL", "HELD", "FAILED", "IN DOUBT", "TO DELIVER"];

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
        show(&mut out, context.tongue, &overview, coloured)?;
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
        let terms = Terms::new(&settings, true);
        let overview = status::overview(&ledger, &terms, now, |feed| selection.holds(feed)).await;
        ledger.close().await;
        overview.map_err(|error| print::with_remedy(error.remedy(), error))
    })?;
    selection.require(!(overview.feeds.is_empty() && overview.accounts.is_empty()), &arguments.selectors)?;
    Ok(Ok(overview))
}

/// Writes it all for people; `coloured` on a terminal.
pub(super) fn show(out: &mut impl Write, tongue: Tongue, overview: &Overview, coloured: bool) -> std::io::Result<()> {
    let colon = tongue.colon();
    writeln!(out, "vaguemestre{colon}{}", tongue.say(&overview.summary))?;
    troubles(out, tongue, overview, coloured)?;
    let mut first = true;
    for account in overview.accounts.iter().filter(|account| account.needs_words()) {
        for words in words(account) {
            apart(out, &mut first)?;
            writeln!(out, "  {}", tongue.say(&format!("account {}: {words}", account.account)))?;
        }
    }
    for quota in &overview.quotas {
        apart(out, &mut first)?;
        writeln!(out, "  {}", tongue.say(&format!("quota {}", quota_words(quota))))?;
    }
    writeln!(out)?;
    let rows: Vec<Vec<String>> = overview.feeds.iter().map(|feed| row(tongue, feed)).collect();
    let colour = |row: usize| coloured.then(|| colour(overview.feeds[row].health)).flatten();
    print::table(out, &HEADINGS.map(|heading| tongue.say(heading)), &rows, (1, &colour))?;
    let mut first = true;
    let remarks = |feed| remarks(feed).into_iter().map(move |text| (feed, text));
    for (feed, remark) in overview.feeds.iter().flat_map(remarks) {
        apart(out, &mut first)?;
        writeln!(out, "  {}{colon}{}", feed.feed, tongue.say(&remark))?;
    }
    Ok(())
}

/// An empty line before the first of several.
fn apart(out: &mut impl Write, first: &mut bool) -> std::io::Result<()> {
    if std::mem::take(first) { writeln!(out) } else { Ok(()) }
}

/// Troubles of one kind that are told; the others are counted.
const TOLD: usize = 20;

/// What is amiss, worst first, each with what to do. What several have in common (a network that is down) is told of the first.
fn troubles(out: &mut impl Write, tongue: Tongue, overview: &Overview, coloured: bool) -> std::io::Result<()> {
    let colon = tongue.colon();
    let (mut told, mut untold) = (HashMap::new(), BTreeMap::new());
    for alike in status::alike(&overview.troubles) {
        let Trouble { kind, severity, since, message, remedy, .. } = alike.first;
        let count = told.entry((*severity, *kind)).or_insert(0_usize);
        *count += 1;
        if *count > TOLD {
            *untold.entry(*kind).or_insert(0) += alike.count();
            continue;
        }
        let since = since.map(|since| format!("since {}", print::paris_time(Some(since))));
        let since = since.map(|since| format!(" ({})", tongue.say(&since))).unwrap_or_default();
        let word = tongue.say(severity.as_str()).to_uppercase();
        let word = if coloured { format!("\u{1b}[{}m{word}\u{1b}[0m", shade(*severity)) } else { word };
        let (message, to_do, remedy) = (tongue.say(message), tongue.say("what to do"), tongue.say(remedy));
        writeln!(out, "\n  {word}{colon}{message}{since}\n    {to_do}{colon}{remedy}")?;
        if let Some(others) = alike.of_others() {
            writeln!(out, "    {}", tongue.say(&others))?;
        }
    }
    for (kind, count) in untold {
        let more = format!("… and {count} more of {kind}: `vaguemestre status --json` has them all");
        writeln!(out, "\n  {}", tongue.say(&more))?;
    }
    Ok(())
}

/// How a severity is shown on a terminal: red for what needs a person, yellow for what a person should know.
fn shade(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "31;1",
        Severity::Warning => "33;1",
        Severity::Passing => "33",
    }
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

fn quota_words(quota: &QuotaStatus) -> String {
    let QuotaStatus { bucket, per_minute, left, present, closed_until } = quota;
    match closed_until {
        Some(until) => format!("{bucket}: closed by the platform until {}", print::paris_time(Some(*until))),
        None if *present => format!("{bucket}: {left} calls left of our share of {per_minute} in this minute"),
        None => format!("{bucket}: nothing used of {per_minute} calls a minute in this minute"),
    }
}

fn words(account: &AccountStatus) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(until) = account.refused_until {
        let until = print::paris_time(Some(until));
        words.push(format!("nothing is asked of its platform until its credentials change, or {until}"));
    }
    if account.problem.is_some() {
        return words;
    }
    match (account.token_days, account.token_seconds) {
        (Some(days), _) if days < 0 => words.push("its token has expired, it says; have it renewed".to_owned()),
        (Some(days), _) => words.push(format!("its token ends in {days} days; have it renewed in time")),
        (None, Some(seconds)) => words.push(format!("its token lives for {seconds} s")),
        (None, None) if account.works_by_token && words.is_empty() => {
            words.push("holds no token: none was needed".to_owned());
        }
        (None, None) => {}
    }
    if let Some(days) = account.certificate_days.filter(|_| words.is_empty()) {
        let next = account.next_certificate_not_before.map(|from| {
            let until = print::paris_time(account.next_certificate_not_after);
            format!("; the next one is there, valid from {} until {until}", print::paris_time(Some(from)))
        });
        words.push(format!("its certificate {}{}", status::certificate_end(days), next.unwrap_or_default()));
    }
    words
}

fn row(tongue: Tongue, feed: &FeedStatus) -> Vec<String> {
    let outcome = feed.last_outcome.as_deref().unwrap_or("-");
    vec![
        feed.feed.clone(),
        tongue.say(feed.health.as_str()).into_owned(),
        print::paris_time(feed.last_listed_at),
        tongue.say(outcome).into_owned(),
        print::paris_time(feed.next_poll_at),
        feed.held.to_string(),
        (feed.failed + feed.abandoned + feed.lost).to_string(),
        feed.in_doubt.to_string(),
        feed.waiting_deliveries.to_string(),
    ]
}

/// What the table cannot say and nothing is amiss with.
fn remarks(feed: &FeedStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    if feed.health == Health::Retired {
        return remarks;
    }
    if feed.unreleased > 0 && feed.release_error.is_none() {
        remarks.push(format!("{} held, to be removed from the platform at the next poll", feed.unreleased));
    }
    if let Some(leader) = &feed.listed_with {
        remarks.push(format!("listed with {leader}: the same folders hold both"));
    }
    remarks.extend(feed.note.clone());
    let lines = [
        (feed.recognised, "had come over another interface before: recognised by their bytes, not delivered again"),
        (feed.gone, "gone: another client collects this SIREN as well (`documents --state gone` lists them)"),
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
