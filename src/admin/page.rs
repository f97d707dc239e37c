//! The page for people: what fails and what to do, feeds with their next polls, one plot. Nothing on it can be changed, and
//! nothing comes from elsewhere; every text is escaped by what puts it there.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::plot;
use super::words::Words;
use crate::clock::stamp;
use crate::config::Patterns;
use crate::feed::FeedName;
use crate::schedule::paris;
use crate::status::{self, AccountStatus, Alike, FeedStatus, Health, Overview, QuotaStatus, Severity, TargetStatus};

/// Feeds that fail, and others, that are shown at most.
const FAILING_SHOWN: usize = 1000;
const OTHERS_SHOWN: usize = 200;
/// Troubles that are shown at most: whoever has more begins with these.
const TROUBLES_SHOWN: usize = 300;
/// Accounts that are shown at most, those that end first before others.
const ACCOUNTS_SHOWN: usize = 100;
/// From so many days left on, a credential's end is set off.
const EXPIRING_DAYS: i64 = 60;
/// What was gathered longer ago is told to be old.
const STALE: SignedDuration = SignedDuration::from_mins(3);

/// What the page of one moment is made of.
pub(super) struct Facts<'a> {
    pub(super) words: &'a Words,
    pub(super) overview: Option<&'a Overview>,
    /// Only feeds of this name or glob, as somebody wrote it.
    pub(super) filter: &'a str,
    /// Documents per day; none where the ledger could not be asked.
    pub(super) days: Option<&'a [(Date, u64)]>,
    /// What keeps the daemon itself from collecting, with what to do.
    pub(super) of_our_own: Option<String>,
    pub(super) started: Timestamp,
    pub(super) now: Timestamp,
}

/// The whole page.
pub(super) fn page(facts: &Facts<'_>) -> String {
    let Facts { words, overview, now, .. } = facts;
    let page = html! {
        (DOCTYPE)
        html lang=(words.language) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "vaguemestre" @if let Some(overview) = overview { (words.colon()) ((words.in_short)(overview.troubles.len() + usize::from(facts.of_our_own.is_some()))) } }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="/icon.svg" type="image/svg+xml";
            }
            body {
                header {
                    h1 { "vaguemestre" }
                    @if let Some(overview) = overview {
                        p.summary { (words.say(&overview.summary)) }
                        p.soft { (words.as_of) " " (exact(overview.at)) ". " (words.zone) }
                    }
                }
                main {
                    @match overview {
                        Some(overview) => (body(facts, overview)),
                        None => p { (words.not_yet) },
                    }
                }
                footer {
                    p { "vaguemestre " (env!("CARGO_PKG_VERSION")) ", " (words.running_since) " " (moment(Some(facts.started), *now)) }
                    nav aria-label=(words.for_programs) {
                        p {
                            (words.for_programs) " "
                            @for place in ["/metrics", "/status", "/livez", "/readyz"] { a href=(place) { (place) } " " }
                        }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn body(facts: &Facts<'_>, overview: &Overview) -> Markup {
    let Facts { words, .. } = facts;
    html! {
        (problems(facts, overview))
        (feeds(facts, overview))
        section aria-labelledby="plot" {
            h2 #plot { (words.documents_per_day) }
            @match facts.days {
                Some(days) => (plot::draw(words, days)),
                None => p { (words.no_plot) },
            }
        }
        @if !overview.accounts.is_empty() { (accounts(words, overview)) }
        @if !overview.targets.is_empty() { (targets(words, &overview.targets)) }
        @if !overview.quotas.is_empty() { (quotas(words, &overview.quotas, overview.at)) }
    }
}

/// What is amiss, each with what to do; else one calm sentence.
fn problems(facts: &Facts<'_>, overview: &Overview) -> Markup {
    let Facts { words, now, .. } = facts;
    let old = now.duration_since(overview.at) > STALE;
    let alike = status::alike(&overview.troubles);
    html! {
        section aria-labelledby="problems" {
            h2 #problems { (words.problems) }
            @if overview.troubles.is_empty() && facts.of_our_own.is_none() && !old { p.calm { (words.all_is_well) } }
            @else {
                ul.problems {
                    @if let Some(told) = &facts.of_our_own { li.error { p.what { (said(&words.say(told))) } } }
                    @if old { li.error { p.what { (words.stale) } } }
                    @for alike in alike.iter().take(TROUBLES_SHOWN) { (problem(words, alike, *now)) }
                }
                @let hidden = alike.iter().skip(TROUBLES_SHOWN).map(Alike::count).sum::<usize>();
                @if hidden > 0 { p.soft { ((words.more)(hidden)) } }
            }
        }
    }
}

fn problem(words: &Words, alike: &Alike<'_>, now: Timestamp) -> Markup {
    let trouble = alike.first;
    let class = if trouble.severity == Severity::Error { "error" } else { "warning" };
    html! {
        li class=(class) {
            p.what { (said(&words.say(&trouble.message))) }
            @if !trouble.remedy.is_empty() { p { (words.remedy) " " (said(&words.say(&trouble.remedy))) } }
            @if let Some(others) = alike.of_others() { p { (said(&words.say(&others))) } }
            p.soft {
                ((words.severity)(trouble.severity)) ", " (trouble.subject)
                @if let Some(since) = trouble.since { ", " (words.since) " " (moment(Some(since), now)) }
            }
        }
    }
}

fn feeds(facts: &Facts<'_>, overview: &Overview) -> Markup {
    let Facts { words, filter, now, .. } = facts;
    let wanted = if filter.is_empty() { Ok(None) } else { Patterns::parse(vec![(*filter).to_owned()]).map(Some) };
    let (pattern, complaint) = match wanted {
        Ok(pattern) => (pattern, None),
        Err(error) => (None, Some(error.to_string())),
    };
    let shows = |feed: &&FeedStatus| {
        pattern.as_ref().is_none_or(|it| feed.feed.parse::<FeedName>().is_ok_and(|name| it.matches(&name)))
    };
    let (failing, others): (Vec<_>, Vec<_>) =
        overview.feeds.iter().filter(shows).partition(|feed| feed.health == Health::Failing);
    let hidden = failing.len().saturating_sub(FAILING_SHOWN) + others.len().saturating_sub(OTHERS_SHOWN);
    let rows = || failing.iter().take(FAILING_SHOWN).chain(others.iter().take(OTHERS_SHOWN));
    html! {
        section aria-labelledby="feeds" {
            h2 #feeds { (words.feeds) }
            form method="get" action="/" role="search" {
                label for="feed" { (words.filter) }
                input #feed name="feed" type="search" value=(filter) placeholder=(words.filter_hint) maxlength="200" autocomplete="off";
                button { (words.show) }
                @if !filter.is_empty() { a href="/" { (words.show_all) } }
            }
            @if let Some(complaint) = complaint { p.bad { (words.say(&complaint)) } }
            @if rows().next().is_none() && !filter.is_empty() { p { (words.no_feed) } }
            @else {
                table.stacked role="table" {
                    thead role="rowgroup" {
                        tr role="row" {
                            @for head in [words.feed, words.health, words.last_listing, words.next_poll] { (head_cell(head, false)) }
                            @for head in [words.held, words.failed, words.to_deliver] { (head_cell(head, true)) }
                        }
                    }
                    tbody role="rowgroup" { @for feed in rows() { (feed_row(words, feed, *now)) } }
                }
            }
            @if hidden > 0 { p.soft { ((words.more)(hidden)) } }
        }
    }
}

fn feed_row(words: &Words, feed: &FeedStatus, now: Timestamp) -> Markup {
    let class = match feed.health {
        Health::Failing | Health::Attention => "bad",
        Health::Troubled => "warn",
        Health::Well => "good",
        Health::New | Health::Retired => "soft",
    };
    html! {
        tr role="row" {
            td role="cell" {
                (feed.feed)
                @if let Some(error) = &feed.error { p.said { (words.say(error)) } }
                @if let Some(note) = &feed.note { p.said { (words.say(note)) } }
            }
            (cell(words.health, html! { span class=(class) { (words.say(feed.health.as_str())) } }))
            (cell(words.last_listing, moment(feed.last_listed_at, now)))
            (cell(words.next_poll, moment(feed.next_poll_at, now)))
            (number(words.held, feed.held))
            (number(words.failed, feed.failed + feed.abandoned + feed.lost))
            (number(words.to_deliver, feed.waiting_deliveries))
        }
    }
}

fn accounts(words: &Words, overview: &Overview) -> Markup {
    let mut accounts: Vec<&AccountStatus> = overview.accounts.iter().collect();
    let days = |account: &AccountStatus| account.certificate_days.or(account.token_days);
    accounts.sort_by_key(|it| (it.problem.is_none(), days(it).unwrap_or(i64::MAX)));
    let hidden = accounts.len().saturating_sub(ACCOUNTS_SHOWN);
    html! {
        section aria-labelledby="accounts" {
            h2 #accounts { (words.accounts) }
            table.stacked role="table" {
                thead role="rowgroup" {
                    tr role="row" {
                        @for head in [words.account, words.health, words.credential, words.ends] { (head_cell(head, false)) }
                        (head_cell(words.days_left, true))
                    }
                }
                tbody role="rowgroup" {
                    @for account in accounts.iter().take(ACCOUNTS_SHOWN) { (account_row(words, account, days(account), overview.at)) }
                }
            }
            @if hidden > 0 { p.soft { ((words.more)(hidden)) } }
        }
    }
}

fn account_row(words: &Words, account: &AccountStatus, days: Option<i64>, now: Timestamp) -> Markup {
    let (credential, end) = match account.certificate_not_after {
        Some(end) => (words.certificate, Some(end)),
        None if account.works_by_token || account.token_days.is_some() => (words.token, account.token_expires_at),
        None => ("–", None),
    };
    html! {
        tr role="row" {
            td role="cell" {
                (account.account)
                @if let Some(problem) = &account.problem { p.said { (words.say(problem)) } }
            }
            @let works = account.problem.is_none();
            (cell(words.health, html! {
                span class=(if works { "good" } else { "bad" }) { (if works { words.works } else { words.cannot_work }) }
            }))
            (cell(words.credential, html! { (credential) }))
            (cell(words.ends, moment(end, now)))
            td.number role="cell" data-label=(words.days_left) {
                @match days {
                    Some(..0) => span.bad { (words.ended) },
                    Some(days) if days < EXPIRING_DAYS => span.warn { (days) },
                    Some(days) => (days),
                    None => "–",
                }
            }
        }
    }
}

fn targets(words: &Words, targets: &[TargetStatus]) -> Markup {
    html! {
        section aria-labelledby="targets" {
            h2 #targets { (words.targets) }
            table.stacked role="table" {
                thead role="rowgroup" {
                    tr role="row" {
                        @for head in [words.target, words.way] { (head_cell(head, false)) }
                        @for head in [words.waiting, words.failed, words.given_up] { (head_cell(head, true)) }
                    }
                }
                tbody role="rowgroup" {
                    @for target in targets {
                        tr role="row" {
                            td role="cell" {
                                (target.target)
                                @if let Some(problem) = &target.problem { p.said { (words.say(problem)) } }
                            }
                            (cell(words.way, html! { (target.way) }))
                            (number(words.waiting, target.waiting))
                            (number(words.failed, target.failed))
                            (number(words.given_up, target.abandoned))
                        }
                    }
                }
            }
        }
    }
}

fn quotas(words: &Words, quotas: &[QuotaStatus], now: Timestamp) -> Markup {
    html! {
        section aria-labelledby="quotas" {
            h2 #quotas { (words.quotas) }
            table.stacked role="table" {
                thead role="rowgroup" {
                    tr role="row" {
                        (head_cell(words.quota, false))
                        @for head in [words.per_minute, words.left] { (head_cell(head, true)) }
                    }
                }
                tbody role="rowgroup" {
                    @for quota in quotas {
                        tr role="row" {
                            td role="cell" {
                                (quota.bucket)
                                @if let Some(until) = quota.closed_until {
                                    p.said { (words.closed_until) " " (moment(Some(until), now)) }
                                }
                            }
                            (number(words.per_minute, quota.per_minute.into()))
                            (number(words.left, if quota.present { quota.left } else { quota.per_minute }.into()))
                        }
                    }
                }
            }
        }
    }
}

fn head_cell(text: &str, number: bool) -> Markup {
    html! { th class=[number.then_some("number")] scope="col" role="columnheader" { (text) } }
}

fn cell(label: &str, content: Markup) -> Markup {
    html! { td role="cell" data-label=(label) { (content) } }
}

fn number(label: &str, value: i64) -> Markup {
    html! { td.number role="cell" data-label=(label) { (value) } }
}

/// A text with what stands in backquotes shown as what is typed.
fn said(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // One that is never closed is an ordinary sign.
    let paired = parts.len() % 2 == 1;
    html! {
        @if paired {
            @for (index, part) in parts.iter().enumerate() { @if index % 2 == 1 { code { (part) } } @else { (part) } }
        } @else { (text) }
    }
}

/// A time of Paris: today's by the clock, others by their day as well.
fn moment(time: Option<Timestamp>, now: Timestamp) -> Markup {
    let Some(time) = time else { return PreEscaped("–".to_owned()) };
    let [zoned, now] = [time, now].map(|time| time.to_zoned(paris().clone()));
    let shown = zoned.strftime(if zoned.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M" }).to_string();
    html! { time datetime=(stamp(time)) { (shown) } }
}

/// A time of Paris, to the second and with its zone.
fn exact(time: Timestamp) -> Markup {
    let shown = time.to_zoned(paris().clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    html! { time datetime=(stamp(time)) { (shown) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_set_off_and_nothing_from_outside_is_markup() {
        assert_eq!(said("do `a <b>` & `c`").into_string(), "do <code>a &lt;b&gt;</code> &amp; <code>c</code>");
        assert_eq!(said("<script>`").into_string(), "&lt;script&gt;`");
    }
}
