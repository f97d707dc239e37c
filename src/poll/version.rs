//! One subject's answer: kept as a new version where it differs from the latest, outside of what is ignored.

use jiff::Timestamp;

use super::{Feed, Poller, room};
use crate::archive::layout;
use crate::connector::{ConnectorError, Download};
use crate::content::difference;
use crate::intake::{DISTRUST, IntakeError, Reception, Sealed, Verdict};
use crate::ledger::{Claimed, LedgerError, NewVersion, Version};

/// Whose version an answer may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject<'a> {
    /// The resource's name, or the SIREN, SIRET or id asked about.
    pub(super) id: &'a str,
    /// When it was asked for: names the version.
    pub(super) asked: Timestamp,
    /// The poll that asked.
    pub(super) poll: i64,
    /// JSON pointers that make no version.
    pub(super) ignore: &'a [String],
}

/// What became of an answer.
#[derive(Debug)]
pub(super) enum Kept {
    /// A new version is stored.
    New,
    /// It says what the latest version says.
    Same,
    /// It is nothing that may be kept: why.
    Refused(String),
    /// It did not arrive whole.
    Broken(ConnectorError),
    /// It is larger than this, in bytes.
    TooLarge(u64),
    /// Our own disk failed, or has no room.
    Disk(String),
}

/// Keeps `body`, unless it says what the latest version says.
pub(super) async fn keep(poller: &Poller, feed: &Feed, subject: Subject<'_>, body: &[u8]) -> Result<Kept, LedgerError> {
    let digest = difference::digest(body, subject.ignore);
    let latest = poller.ledger.latest_version(&feed.name, subject.id).await?;
    if let Some(latest) = &latest
        && (latest.digest == digest || says(poller, latest, subject.ignore).await.as_ref() == Some(&digest))
    {
        return Ok(Kept::Same);
    }
    let Some(_room) = poller.room.promise(body.len() as u64).await else { return Ok(no_room()) };
    if !poller.intake.trusts_disk() {
        return Ok(Kept::Disk(DISTRUST.to_owned()));
    }
    let Some(claimed) = claim(poller, feed, subject, Some(digest)).await? else { return Ok(Kept::Same) };
    let mut reception = poller.intake.receive(&claimed, u64::MAX);
    if let Err(error) = reception.push(body).await {
        return Ok(disk(poller, error));
    }
    finish(poller, subject, claimed, reception, None).await
}

/// Keeps a file on its way, unless its bytes are those of the latest version.
pub(super) async fn keep_file(
    poller: &Poller,
    feed: &Feed,
    subject: Subject<'_>,
    file: Download,
) -> Result<Kept, LedgerError> {
    let limit = feed.lane.max_document;
    if file.length().is_some_and(|length| length > limit) {
        return Ok(Kept::TooLarge(limit));
    }
    let latest = poller.ledger.latest_version(&feed.name, subject.id).await?;
    let Some(_room) = poller.room.promise(limit).await else { return Ok(no_room()) };
    if !poller.intake.trusts_disk() {
        return Ok(Kept::Disk(DISTRUST.to_owned()));
    }
    let Some(claimed) = claim(poller, feed, subject, None).await? else { return Ok(Kept::Same) };
    let mut reception = poller.intake.receive(&claimed, limit);
    let interruption = pump(poller, file, &mut reception, limit).await;
    if let Some(interruption) = interruption {
        let discarded = reception.discard().await;
        poller.ledger.drop_version(claimed.id).await?;
        return Ok(discarded.map_or_else(|error| disk(poller, error), |()| interruption));
    }
    finish(poller, subject, claimed, reception, latest).await
}

async fn pump(poller: &Poller, mut file: Download, reception: &mut Reception, limit: u64) -> Option<Kept> {
    loop {
        match file.next().await {
            Ok(Some(chunk)) if reception.admit(chunk.len() as u64).is_err() => return Some(Kept::TooLarge(limit)),
            Ok(Some(chunk)) => {
                if let Err(error) = reception.push(&chunk).await {
                    return Some(disk(poller, error));
                }
            }
            Ok(None) => return None,
            Err(error) => return Some(Kept::Broken(error)),
        }
    }
}

/// What matters of the latest version by the present `ignore`, which may be another than when it was kept.
async fn says(poller: &Poller, latest: &Version, ignore: &[String]) -> Option<String> {
    let held = poller.intake.read(&latest.archive_path).await.ok()?;
    Some(difference::digest(&held, ignore))
}

async fn claim(
    poller: &Poller,
    feed: &Feed,
    subject: Subject<'_>,
    digest: Option<String>,
) -> Result<Option<Claimed>, LedgerError> {
    let remote_id = format!("{}@{}", subject.id, subject.asked.strftime("%Y%m%dT%H%M%S%.3fZ"));
    let stem = layout::stem(&feed.name, &remote_id, subject.asked);
    let version = NewVersion { feed: feed.name.clone(), subject: subject.id.to_owned(), remote_id, digest, stem };
    poller.ledger.claim_version(version, &poller.run, subject.asked).await
}

/// The body has ended: it is stored, unless it is nothing to keep or (a file) the same as `latest`.
async fn finish(
    poller: &Poller,
    subject: Subject<'_>,
    claimed: Claimed,
    reception: Reception,
    latest: Option<Version>,
) -> Result<Kept, LedgerError> {
    match reception.finish().await {
        Ok(Verdict::Return(sealed)) if latest.is_some_and(|latest| latest.sha256 == sealed.sha256) => {
            let discarded = poller.intake.discard(*sealed).await;
            poller.ledger.drop_version(claimed.id).await?;
            Ok(discarded.map_or_else(|error| disk(poller, error), |()| Kept::Same))
        }
        Ok(Verdict::Return(sealed)) => Ok(store(poller, subject, *sealed).await),
        Ok(Verdict::Refused { reason, path, .. }) => {
            poller.ledger.drop_version(claimed.id).await?;
            Ok(Kept::Refused(format!("{reason}; the bytes are set aside in {path}")))
        }
        Err(error) => Ok(disk(poller, error)),
    }
}

fn disk(poller: &Poller, error: IntakeError) -> Kept {
    poller.intake.heed(&error);
    Kept::Disk(error.into())
}

async fn store(poller: &Poller, subject: Subject<'_>, sealed: Sealed) -> Kept {
    match poller.intake.keep(sealed, Some(subject.poll)).await {
        Ok(()) => Kept::New,
        // The file is safe in the archive, and its row stands: the next start adopts it.
        Err(IntakeError::Stopping) => Kept::Disk("the daemon is stopping".to_owned()),
        Err(error) => disk(poller, error),
    }
}

fn no_room() -> Kept {
    Kept::Disk(room::LOW.to_owned())
}
