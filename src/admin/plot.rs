//! Documents per day, as bars and as a table.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use maud::{Markup, html};
use tokio::sync::Mutex;

use super::words::Words;
use crate::ledger::{Ledger, LedgerError};
use crate::schedule::paris;

/// Days that are shown.
const DAYS: usize = 30;
/// The drawing's height, in its own units; a bar takes ten of these in width.
const HEIGHT: u64 = 100;

/// How many documents came on each of the last days. Asked of the ledger when somebody looks: all of it once, later only the
/// last two days, for what lies further back changes no more.
#[derive(Debug, Default)]
pub(super) struct Plot {
    known: Mutex<BTreeMap<Date, u64>>,
}

impl Plot {
    /// The last days until `now`, those on which nothing came included.
    ///
    /// # Errors
    /// When the ledger fails.
    pub(super) async fn days(&self, ledger: &Ledger, now: Timestamp) -> Result<Vec<(Date, u64)>, LedgerError> {
        let today = now.to_zoned(paris().clone()).date();
        let back = |days: usize| today.saturating_sub(i64::try_from(days).unwrap_or(0).days());
        let first = back(DAYS - 1);
        let mut known = self.known.lock().await;
        let complete = known.first_key_value().is_some_and(|(day, _)| *day <= first);
        // A clock that was set back has made days of the future.
        known.retain(|day, _| (first..=today).contains(day));
        let from = known.last_key_value().filter(|_| complete).map_or(first, |(day, _)| day.saturating_sub(1.day()));
        let midnight = from.to_zoned(paris().clone()).map_or(now, |midnight| midnight.timestamp());
        let hours = ledger.documents_by_hour(midnight, !complete).await?;
        let mut counted = BTreeMap::<Date, u64>::new();
        for (hour, count) in hours {
            *counted.entry(hour.to_zoned(paris().clone()).date()).or_default() += count;
        }
        // A day on which nothing came is known as well.
        for day in [first, today] {
            counted.entry(day).or_default();
        }
        // What was purged meanwhile had come all the same.
        for (day, count) in counted {
            let known = known.entry(day).or_default();
            *known = count.max(*known);
        }
        let days = (0..DAYS).rev().map(back);
        Ok(days.map(|day| (day, known.get(&day).copied().unwrap_or_default())).collect())
    }
}

/// The drawing of `days`, and its fallback.
pub(super) fn draw(words: &Words, days: &[(Date, u64)]) -> Markup {
    let all: u64 = days.iter().map(|(_, count)| count).sum();
    let (when, most) = days.iter().max_by_key(|(_, count)| *count).copied().unwrap_or_default();
    let sentence = (words.plotted)(all, days.len(), most, &when.to_string());
    let scale = most.max(1);
    let ends = [days.first(), days.last()].map(|day| day.map(|(day, _)| day.to_string()).unwrap_or_default());
    html! {
        figure {
            svg.plot role="img" aria-labelledby="plot-title plot-words" preserveAspectRatio="none"
                viewBox={ "0 0 " (days.len() * 10) " " (HEIGHT) } {
                title #plot-title { (words.documents_per_day) }
                desc #plot-words { (sentence) }
                @for (index, (day, count)) in days.iter().enumerate().filter(|(_, (_, count))| *count > 0) {
                    // What came at all is seen.
                    @let height = (count * HEIGHT / scale).max(2);
                    rect x=(index * 10 + 1) y=(HEIGHT - height) width="8" height=(height) {
                        title { ((words.on_day)(&day.to_string(), *count)) }
                    }
                }
            }
            div.scale aria-hidden="true" { span { (ends[0]) } span { (ends[1]) } }
            figcaption { (sentence) }
        }
        details {
            summary { (words.as_a_table) }
            table {
                thead { tr { th scope="col" { (words.day) } th.number scope="col" { (words.documents) } } }
                tbody {
                    @for (day, count) in days.iter().rev() { tr { td { (day) } td.number { (count) } } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

    use super::super::words::ENGLISH;
    use super::*;

    /// A ledger with documents stored at these times, of which some were purged; and what is to be done to it later.
    async fn run(ledger: &Ledger, sql: String) {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(ledger.path());
        let mut connection = options.connect().await.unwrap();
        sqlx::query(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    fn stored(id: u32, at: &str, purged: bool) -> String {
        let (path, purged) = if purged { ("NULL", format!("'{at}'")) } else { ("'archive/x'", "NULL".to_owned()) };
        format!(
            "INSERT INTO documents (feed, remote_id, state, listed_at, stored_at, archive_path, purged_at)
             VALUES ('fast/mairie/chorus', '{id}', 'delivered', '{at}', '{at}', {path}, {purged})"
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn days_are_those_of_paris_and_what_was_purged_since_had_come_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path(), at("2026-11-26T08:00:00Z")).await.unwrap();
        let feed = "INSERT INTO feeds (feed, account, origin, siren, kind, next_poll_at)
                    VALUES ('fast/mairie/chorus', 'fast/mairie', 'x', '1', 'chorus', '2026-11-26T08:00:00.000Z')";
        run(&ledger, feed.to_owned()).await;
        // Half past midnight in Paris is still the evening before in UTC.
        for (id, (time, purged)) in (0..).zip([
            ("2026-10-27T22:59:00.000Z", false),
            ("2026-10-27T23:00:00.000Z", false),
            ("2026-11-20T23:30:00.000Z", true),
            ("2026-11-25T22:59:59.999Z", false),
            ("2026-11-25T23:30:00.000Z", false),
        ]) {
            run(&ledger, stored(id, time, purged)).await;
        }
        let plot = Plot::default();
        let came = |days: &[(Date, u64)]| {
            days.iter().filter(|(_, count)| *count > 0).map(|(day, count)| format!("{day} {count}")).collect::<Vec<_>>()
        };
        let days = plot.days(&ledger, at("2026-11-26T10:00:00Z")).await.unwrap();
        assert_eq!((days.len(), days[0].0.to_string()), (30, "2026-10-28".to_owned()));
        assert_eq!(came(&days), ["2026-10-28 1", "2026-11-21 1", "2026-11-25 1", "2026-11-26 1"]);

        run(
            &ledger,
            "UPDATE documents SET archive_path = NULL, purged_at = stored_at WHERE remote_id = '3'".to_owned(),
        )
        .await;
        run(&ledger, stored(9, "2026-11-26T10:30:00.000Z", false)).await;
        let days = plot.days(&ledger, at("2026-11-26T11:00:00Z")).await.unwrap();
        assert_eq!(came(&days), ["2026-10-28 1", "2026-11-21 1", "2026-11-25 1", "2026-11-26 2"]);
        // A quiet day, and one that has gone by.
        let days = plot.days(&ledger, at("2026-11-28T11:00:00Z")).await.unwrap();
        assert_eq!(came(&days), ["2026-11-21 1", "2026-11-25 1", "2026-11-26 2"]);
        let drawn = draw(&ENGLISH, &days).into_string();
        assert!(drawn.contains("4 came in the last 30 days; the most in a day were 2, on 2026-11-26."), "{drawn}");
        assert_eq!(drawn.matches("<rect").count(), 3, "{drawn}");
        assert!(drawn.contains("<title>2026-11-26: 2 documents</title>"), "{drawn}");
    }
}
