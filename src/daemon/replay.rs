//! Archived documents handed over again: their deliveries are ordered anew, and the couriers do the rest.

use std::path::Path;

use jiff::Timestamp;
use tokio::task::spawn_blocking;

use super::House;
use super::operate::Answer;
use crate::feed::FeedName;
use crate::ledger::{Held, LedgerError};

/// Documents dealt with together.
const PAGE: u32 = 500;

/// Which documents are handed over again, and to whom.
pub(super) struct Wanted<'a> {
    /// Those of these ids; none: all that were stored at `since` or later.
    pub(super) ids: &'a [String],
    /// None: all there are.
    pub(super) since: Option<Timestamp>,
    /// Only those whose deliveries were given up, to these targets alone.
    pub(super) abandoned: bool,
    /// The target; none: all that want the feed.
    pub(super) target: Option<&'a str>,
    /// Only count.
    pub(super) dry_run: bool,
}

/// What became of documents.
#[derive(Default)]
struct Count {
    ordered: u64,
    without_copy: u64,
}

/// Has documents of `feed` handed over again.
pub(super) async fn replay(house: &House, feed: &str, wanted: &Wanted<'_>) -> Result<Answer, LedgerError> {
    let mut answer = Answer::default();
    let feed: FeedName = match feed.parse() {
        Ok(feed) => feed,
        Err(error) => return Ok(Answer { text: format!("{error}\n"), exit_code: 1 }),
    };
    let targets = match targets(house, &feed, wanted.target) {
        Ok(targets) => targets,
        Err(refused) => return Ok(Answer { text: format!("{refused}\n"), exit_code: 1 }),
    };
    let mut count = Count::default();
    if wanted.abandoned {
        for target in &targets {
            let given_up = house.ledger.given_up(&feed, target).await?;
            order(house, given_up, std::slice::from_ref(target), wanted.dry_run, &mut count).await?;
        }
    } else if wanted.ids.is_empty() {
        let mut after = 0;
        loop {
            let page = house.ledger.held(&feed, wanted.since, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            order(house, page, &targets, wanted.dry_run, &mut count).await?;
        }
    } else {
        let mut named = Vec::new();
        for id in wanted.ids {
            match one(house, &feed, id).await? {
                Ok(held) => named.push(held),
                Err(refused) => {
                    answer.line(&format!("{feed} {id}: {refused}"));
                    answer.worsen(1);
                }
            }
        }
        order(house, named, &targets, wanted.dry_run, &mut count).await?;
    }
    conclude(&mut answer, &feed, &targets, wanted, &count);
    house.call_couriers();
    Ok(answer)
}

/// Whom documents of `feed` are handed to.
fn targets(house: &House, feed: &FeedName, wanted: Option<&str>) -> Result<Vec<String>, String> {
    let plan = house.plan();
    let targets = &plan.settings.delivery.targets;
    if let Some(name) = wanted {
        return match targets.iter().find(|target| target.name == name) {
            Some(target) if target.wants(feed) => Ok(vec![name.to_owned()]),
            Some(_) => Err(format!("target {name} does not want {feed}; see `feeds` in its table")),
            None => {
                let known: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
                Err(format!("there is no target {name}; the configuration has {}", known.join(", ")))
            }
        };
    }
    let names: Vec<String> =
        targets.iter().filter(|target| target.wants(feed)).map(|target| target.name.clone()).collect();
    if names.is_empty() { Err(format!("no target wants {feed}; see [[delivery.targets]]")) } else { Ok(names) }
}

/// One document by its id.
async fn one(house: &House, feed: &FeedName, remote_id: &str) -> Result<Result<Held, String>, LedgerError> {
    let Some((id, row, _)) = house.ledger.document(feed, remote_id).await? else {
        return Ok(Err("the ledger knows no such document".to_owned()));
    };
    if !matches!(row.state.as_str(), "stored" | "delivered") {
        return Ok(Err(format!("is {}: only what is held can be delivered", row.state)));
    }
    Ok(Ok(Held { id, remote_id: row.remote_id, archive_path: row.archive_path }))
}

/// Orders the deliveries of `page`, of all that have a copy.
async fn order(
    house: &House,
    page: Vec<Held>,
    targets: &[String],
    dry_run: bool,
    count: &mut Count,
) -> Result<(), LedgerError> {
    let (all, root) = (page.len() as u64, house.state.path().to_owned());
    let present = spawn_blocking(move || with_copies(&root, page)).await.unwrap_or_default();
    let ordered = if dry_run {
        present.len() as u64
    } else {
        house.ledger.replay(present, targets.to_vec(), house.clock.now()).await?
    };
    count.ordered += ordered;
    count.without_copy += all - ordered;
    Ok(())
}

/// The rows whose copies are there.
fn with_copies(root: &Path, page: Vec<Held>) -> Vec<i64> {
    let there = |held: &Held| held.archive_path.as_ref().is_some_and(|path| root.join(path).is_file());
    page.into_iter().filter(there).map(|held| held.id).collect()
}

fn conclude(answer: &mut Answer, feed: &FeedName, targets: &[String], wanted: &Wanted<'_>, count: &Count) {
    let noun = if count.ordered == 1 { "document" } else { "documents" };
    let how = if wanted.dry_run { "would be delivered again" } else { "to be delivered again" };
    answer.line(&format!("{feed}: {} {noun} {how} to {}", count.ordered, targets.join(", ")));
    if count.without_copy > 0 {
        answer.line(&format!(
            "{feed}: {} without a copy in the archive any more: purged after [archive] keep, or lost (`vaguemestre verify`); \
             `retry --again` downloads one once more, where its platform still has it",
            count.without_copy
        ));
        if !wanted.ids.is_empty() {
            answer.worsen(1);
        }
    }
}
