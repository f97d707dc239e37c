//! One document: gates, claim, download, checks.

use std::time::Duration;

use jiff::Timestamp;

use super::pass::Place;
use super::room::Promise;
use super::{Feed, Poller, room};
use crate::archive::layout;
use crate::connector::{Connector, ConnectorError, Download};
use crate::intake::{DISTRUST, IntakeError, Objection, Reception, Sealed, Verdict};
use crate::ledger::{Claimed, LedgerError, Open};
use crate::log::event;
use crate::schedule::{Calendar, Span};
use crate::step::step;

/// A long wait is cut into pieces, for the wall clock may be set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// A document whose last byte has come: it is yet to be checked, and others may be asked for meanwhile.
pub(super) struct Arrived<'a> {
    document: Claimed,
    reception: Box<Reception>,
    /// Why its bytes are not to be taken for the document, if they are not.
    doubt: Option<String>,
    _room: Promise<'a>,
}

/// What came of a try.
#[derive(Debug)]
pub(super) enum Try {
    /// It is ours: ready to be kept.
    Sealed(Sealed),
    /// It arrived whole, and is no return or came in a doubtful form.
    Refused(Claimed, Objection, String, String),
    /// It is larger than this, in bytes.
    TooLarge(Claimed, u64),
    /// The connector could not bring it.
    Failed(Claimed, ConnectorError),
    /// Our own disk failed under it.
    Disk(Claimed, IntakeError),
    /// Our own disk has no room for it, or has failed: not asked for. Why.
    Obstructed(&'static str),
    /// The daemon stops: not asked for.
    Stopped,
    /// It is not of a kind that its account collects: left where it is.
    PassedOver,
    /// Someone else has it, or it needs nothing any more.
    NotOurs,
}

/// Tries to fetch `document`. Nothing leaves before the claim is durable; nothing is claimed that may not leave. Its place is
/// another's once this returns.
pub(super) async fn fetch<'a, C: Connector>(
    poller: &'a Poller,
    feed: &Feed,
    way: &C,
    document: Open,
    _place: Place,
) -> Result<Result<Arrived<'a>, Try>, LedgerError> {
    let limit = feed.lane.max_document;
    let room = match admit(poller, feed, limit).await {
        Ok(room) => room,
        Err(held_up) => return Ok(Err(held_up)),
    };
    let now = poller.clock.now();
    let stem = layout::stem(&feed.name, &document.remote_id, now);
    let Some(claimed) = poller.ledger.claim_document(document.id, &poller.run, stem, now).await? else {
        return Ok(Err(Try::NotOurs));
    };
    Ok(download(poller, way, claimed, limit, room).await)
}

/// Tries to fetch a document that an operator's order has claimed.
pub(super) async fn fetch_claimed<C: Connector>(poller: &Poller, feed: &Feed, way: &C, claimed: Claimed) -> Try {
    let limit = feed.lane.max_document;
    let room = match admit(poller, feed, limit).await {
        Ok(room) => room,
        Err(held_up) => return held_up,
    };
    match download(poller, way, claimed, limit, room).await {
        Ok(arrived) => check(poller, arrived).await,
        Err(tried) => tried,
    }
}

/// Waits until a download may leave, and has room on the disk; else why it may not.
async fn admit<'a>(poller: &'a Poller, feed: &Feed, limit: u64) -> Result<Promise<'a>, Try> {
    loop {
        if !wait_while(poller, feed, Calendar::download_hold).await {
            return Err(Try::Stopped);
        }
        let Some(room) = poller.room.promise(limit).await else { return Err(Try::Obstructed(room::LOW)) };
        if !poller.intake.trusts_disk() {
            return Err(Try::Obstructed(DISTRUST));
        }
        // Waiting for room may have led into a window.
        if feed.cadence.calendar().download_hold(poller.clock.now()).is_none() {
            return Ok(room);
        }
    }
}

async fn download<'a, C: Connector>(
    poller: &Poller,
    way: &C,
    claimed: Claimed,
    limit: u64,
    room: Promise<'a>,
) -> Result<Arrived<'a>, Try> {
    step("ask");
    let fetched = way.fetch(&claimed.remote()).await;
    step("answered");
    let download = match fetched {
        Ok(download) => download,
        Err(error) => return Err(Try::Failed(claimed, error)),
    };
    if download.length().is_some_and(|length| length > limit) {
        return Err(Try::TooLarge(claimed, limit));
    }
    let mut reception = poller.intake.receive(&claimed, limit);
    let pumped = pump(download, &mut reception).await;
    step("arrived");
    let interruption = match pumped {
        Ok(doubt) => return Ok(Arrived { document: claimed, reception: Box::new(reception), doubt, _room: room }),
        Err(interruption) => interruption,
    };
    let left = match &interruption {
        Interruption::TooLarge => reception.discard().await,
        Interruption::Connector(_) | Interruption::Disk(_) => reception.abandon().await,
    };
    if let Err(error) = left {
        return Err(Try::Disk(claimed, error));
    }
    Err(match interruption {
        Interruption::TooLarge => Try::TooLarge(claimed, limit),
        Interruption::Connector(error) => Try::Failed(claimed, error),
        Interruption::Disk(error) => Try::Disk(claimed, error),
    })
}

/// Checks a document that has come, and makes it ready to be kept, or sets it aside.
pub(super) async fn check(poller: &Poller, arrived: Arrived<'_>) -> Try {
    let Arrived { document, reception, doubt, _room } = arrived;
    let verdict = match doubt {
        Some(doubt) => reception.refuse(doubt).await,
        None => reception.finish().await,
    };
    match verdict {
        Ok(Verdict::Return(sealed)) => match poller.intake.sort(*sealed).await {
            Ok(Some(sealed)) => Try::Sealed(sealed),
            Ok(None) => Try::PassedOver,
            Err(error) => Try::Disk(document, error),
        },
        Ok(Verdict::Refused { reason, path, sha256 }) => Try::Refused(document, reason, path, sha256),
        Err(error) => Try::Disk(document, error),
    }
}

enum Interruption {
    TooLarge,
    Connector(ConnectorError),
    Disk(IntakeError),
}

/// Receives a body to its end; answers why it is not to be taken for the document, if it is not.
async fn pump(mut download: Download, reception: &mut Reception) -> Result<Option<String>, Interruption> {
    while let Some(chunk) = download.next().await.map_err(Interruption::Connector)? {
        reception.admit(chunk.len() as u64).map_err(|_| Interruption::TooLarge)?;
        reception.push(&chunk).await.map_err(Interruption::Disk)?;
    }
    Ok(download.doubt().map(str::to_owned))
}

/// Waits while `hold` says that the calendar forbids it (F2); answers false when the daemon stops first.
pub(super) async fn wait_while(
    poller: &Poller,
    feed: &Feed,
    hold: impl Fn(&Calendar, Timestamp) -> Option<Span>,
) -> bool {
    let calendar = feed.cadence.calendar();
    let mut told: Option<Timestamp> = None;
    let mut stopping = poller.stopping.clone();
    loop {
        if *stopping.borrow() {
            return false;
        }
        let now = poller.clock.now();
        let Some(hold) = hold(calendar, now) else { return true };
        if told != Some(hold.end) {
            told = Some(hold.end);
            tracing::info!(event = event::WINDOW_WAITING, feed = %feed.name, until = %hold.end,
                "{} waits for the platform's maintenance to end", feed.name);
        }
        let rest = Duration::try_from(hold.end.duration_since(now)).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(rest.min(LOOK_AGAIN)) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return false,
        }
    }
}
