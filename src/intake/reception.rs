//! One body arriving: counted, hashed, written, judged.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::aside::{partial_name, partial_stem, set_aside};
use super::place::tag_of;
use super::syncing::{Report, Syncing};
use super::{IntakeError, Sealed};
use crate::archive::layout::{self, hex};
use crate::archive::tag;
use crate::archive::write;
use crate::content::summary::{Summary, summarise};
use crate::content::{self, MediaType, NotAReturn};
use crate::ledger::Claimed;
use crate::step::step;

/// Bodies up to this size never leave memory before they have ended: most returns are smaller.
const SPILL: usize = 64 << 10;

/// What came of a body that has ended.
#[derive(Debug)]
pub enum Verdict {
    /// A return: sealed, ready to be kept.
    Return(Box<Sealed>),
    /// None: set aside in the quarantine.
    Refused {
        /// Why.
        reason: Objection,
        /// Where the bytes lie, relative to the state directory.
        path: String,
        /// Their SHA-256.
        sha256: String,
    },
}

/// Why a body that arrived whole is not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Objection {
    /// It is no return.
    #[error(transparent)]
    Content(#[from] NotAReturn),
    /// It may be the document; what it came in is not as it should be.
    #[error("the answer that the document came in cannot be trusted: {0}")]
    Wrapping(String),
}

/// A body that does not fit in `max_document`.
#[derive(Debug, thiserror::Error)]
#[error("the document is larger than max_document ({limit} bytes)")]
pub struct TooLarge {
    /// The limit, in bytes.
    pub limit: u64,
}

/// A body on its way in.
#[derive(Debug)]
pub struct Reception {
    root: Arc<PathBuf>,
    document: Claimed,
    limit: u64,
    size: u64,
    buffer: Vec<u8>,
    spilled: Option<Spilled>,
}

/// The part of a body that is in its temporary file.
#[derive(Debug)]
struct Spilled {
    path: PathBuf,
    file: File,
    hash: Sha256,
}

impl Reception {
    pub(super) fn new(root: Arc<PathBuf>, document: &Claimed, limit: u64) -> Self {
        Self { root, document: document.clone(), limit, size: 0, buffer: Vec::new(), spilled: None }
    }

    /// Bytes received so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether `more` bytes would still fit.
    ///
    /// # Errors
    /// [`TooLarge`], naming the limit.
    pub fn admit(&self, more: u64) -> Result<(), TooLarge> {
        if self.size.saturating_add(more) > self.limit { Err(TooLarge { limit: self.limit }) } else { Ok(()) }
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn push(&mut self, chunk: &[u8]) -> Result<(), IntakeError> {
        self.size += chunk.len() as u64;
        self.buffer.extend_from_slice(chunk);
        if self.buffer.len() < SPILL {
            return Ok(());
        }
        let (buffer, spilled) = (std::mem::take(&mut self.buffer), self.spilled.take());
        let path = self.temporary();
        let failed = disk(&path);
        let (root, name) = (Arc::clone(&self.root), partial_name(&self.document));
        let spill =
            spawn_blocking(move || spill(&root, &name, spilled, path, buffer)).await.map_err(|e| failed(e.into()))?;
        let (spilled, buffer) = spill.map_err(disk(&self.temporary()))?;
        self.spilled = Some(spilled);
        self.buffer = buffer;
        Ok(())
    }

    /// The body has ended: judges it, and seals it or sets it aside.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn finish(self) -> Result<Verdict, IntakeError> {
        let failed = disk(&self.temporary());
        let (answer, verdict) = oneshot::channel();
        // What is sealed is told at once, and synced meanwhile.
        spawn_blocking(move || match finish(self) {
            Ok((verdict, sealed)) => {
                let told = answer.send(Ok(verdict));
                if let (Ok(()), Some((file, report))) = (told, sealed) {
                    report.of(Ok(file));
                }
            }
            Err(error) => drop(answer.send(Err(error))),
        });
        verdict.await.unwrap_or_else(|_| Err(io::Error::other("the thread that wrote it died"))).map_err(failed)
    }

    /// The body has ended, and is not to be taken for the document, because of `doubt`: sets it aside.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn refuse(self, doubt: String) -> Result<Verdict, IntakeError> {
        self.blocking(|reception| {
            let (root, document) = (Arc::clone(&reception.root), reception.document.clone());
            set_refused_aside(&root, &document, reception.spilled()?, Objection::Wrapping(doubt))
        })
        .await
    }

    /// The body broke off: what has arrived goes to the quarantine, for it may be all that will ever come.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn abandon(self) -> Result<(), IntakeError> {
        if self.spilled.is_none() && self.buffer.is_empty() {
            return Ok(());
        }
        self.blocking(|reception| {
            let (root, name) = (Arc::clone(&reception.root), partial_name(&reception.document));
            set_aside(&root, &reception.spilled()?.path, &name).map(drop)
        })
        .await
    }

    /// The body is not wanted: what has arrived of it is removed, for a body without end could fill the disk.
    ///
    /// # Errors
    /// When the disk fails.
    pub async fn discard(self) -> Result<(), IntakeError> {
        let Some(spilled) = self.spilled else { return Ok(()) };
        let path = spilled.path;
        let failed = disk(&path);
        let removed = spawn_blocking({
            let path = path.clone();
            move || std::fs::remove_file(path)
        });
        removed.await.map_err(|error| failed(error.into()))?.map_err(disk(&path))
    }

    async fn blocking<T: Send + 'static>(
        self,
        work: impl FnOnce(Self) -> io::Result<T> + Send + 'static,
    ) -> Result<T, IntakeError> {
        let path = self.temporary();
        let failed = disk(&path);
        spawn_blocking(move || work(self)).await.map_err(|error| failed(error.into()))?.map_err(disk(&path))
    }

    /// All that has come, in its temporary file.
    fn spilled(self) -> io::Result<Spilled> {
        let (path, name) = (self.temporary(), partial_name(&self.document));
        spill(&self.root, &name, self.spilled, path, self.buffer).map(|(spilled, _)| spilled)
    }

    fn temporary(&self) -> PathBuf {
        self.root.join(layout::INCOMING).join(format!("{}.part", self.document.id))
    }
}

fn disk(path: &Path) -> impl Fn(io::Error) -> IntakeError + use<> {
    let path = path.to_owned();
    move |source| IntakeError::Disk { path: path.clone(), source }
}

/// Writes `buffer` to the temporary file and gives it back, empty, to be filled again.
fn spill(
    root: &Path,
    name: &str,
    spilled: Option<Spilled>,
    path: PathBuf,
    mut buffer: Vec<u8>,
) -> io::Result<(Spilled, Vec<u8>)> {
    let mut spilled = match spilled {
        Some(spilled) => spilled,
        None => Spilled { file: create(root, &path, name)?, path, hash: Sha256::new() },
    };
    spilled.hash.update(&buffer);
    spilled.file.write_all(&buffer)?;
    step("written");
    buffer.clear();
    Ok((spilled, buffer))
}

/// A new temporary file; one that a try cut short has left goes to the quarantine, under `name`.
fn create(root: &Path, path: &Path, name: &str) -> io::Result<File> {
    match write::create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            set_aside(root, path, name)?;
            write::create(path)
        }
        other => other,
    }
}

/// A sealed file, which says what it is if that is so, and what is to be told once it is synced.
type Unsynced = ((bool, File), Report);

fn finish(reception: Reception) -> io::Result<(Verdict, Option<Unsynced>)> {
    let temporary = reception.temporary();
    let Reception { root, document, size, buffer, spilled, .. } = reception;
    // A body that never left memory is judged there; a larger one is read back from its file.
    let (judgement, spilled) = match spilled {
        None => {
            let judgement = read(&document, Cursor::new(&buffer), size)?;
            (judgement, spill(&root, &partial_name(&document), None, temporary, buffer)?.0)
        }
        Some(spilled) => {
            let mut spilled = spill(&root, "", Some(spilled), temporary, buffer)?.0;
            spilled.file.rewind()?;
            (read(&document, BufReader::with_capacity(SPILL, &spilled.file), size)?, spilled)
        }
    };
    match judgement {
        Ok(content) => {
            let (sealed, unsynced) = seal(&root, document, spilled, size, content)?;
            Ok((Verdict::Return(Box::new(sealed)), Some(unsynced)))
        }
        Err(reason) => set_refused_aside(&root, &document, spilled, reason.into()).map(|verdict| (verdict, None)),
    }
}

fn set_refused_aside(root: &Path, document: &Claimed, spilled: Spilled, reason: Objection) -> io::Result<Verdict> {
    let sha256 = hex(&spilled.hash.finalize());
    let name = format!("{}.{}", partial_stem(document), &sha256[..16]);
    let path = set_aside(root, &spilled.path, &name)?;
    Ok(Verdict::Refused { reason, path, sha256 })
}

/// Judges a body by what its platform may send: returns, or answers of an API.
pub(super) fn judge<R: io::Read + io::Seek>(
    document: &Claimed,
    reader: R,
    size: u64,
) -> io::Result<Result<MediaType, NotAReturn>> {
    if document.feed.platform() == "fast" { content::judge(reader, size) } else { content::judge_answer(reader, size) }
}

/// What a return is, and what it says.
type Content = (MediaType, Option<Summary>);

/// Judges a body, and reads what it says.
fn read<R: io::Read + io::Seek>(
    document: &Claimed,
    mut reader: R,
    size: u64,
) -> io::Result<Result<Content, NotAReturn>> {
    let media_type = match judge(document, &mut reader, size)? {
        Ok(media_type) => media_type,
        Err(reason) => return Ok(Err(reason)),
    };
    reader.rewind()?;
    let summary = summary_of(document.feed.platform() == "fast", media_type, reader)?;
    Ok(Ok((media_type, summary)))
}

/// What a document says, if its platform is FAST-Parapheur and it is one of the returns that are read.
pub(super) fn summary_of<R: io::Read + io::Seek>(
    fast: bool,
    media_type: MediaType,
    reader: R,
) -> io::Result<Option<Summary>> {
    if fast && media_type == MediaType::Xml { summarise(reader) } else { Ok(None) }
}

/// Renames a checked body to the name that tells what it is: from here on a crash of ours loses nothing.
fn seal(
    root: &Path,
    document: Claimed,
    Spilled { path: temporary, file, hash }: Spilled,
    size: u64,
    (media_type, summary): Content,
) -> io::Result<(Sealed, Unsynced)> {
    let sha256 = hex(&hash.finalize());
    let path = sealed_path(root, &document, size, &sha256, false);
    // It says of itself what it is, should the ledger be lost.
    let tagged = tag::attach(&file, &tag_of(&document))?;
    step("seal");
    std::fs::rename(temporary, &path)?;
    step("sealed");
    let (syncing, report) = Syncing::awaited();
    Ok((Sealed { document, path, size, sha256, media_type, summary, syncing }, ((tagged, file), report)))
}

fn sealed_path(root: &Path, document: &Claimed, size: u64, sha256: &str, accepted: bool) -> PathBuf {
    let name = layout::SealedName { document: document.id, size, sha256: sha256.to_owned(), accepted };
    root.join(layout::INCOMING).join(name.file_name())
}

/// Seals the quarantined file at `path` as `document`, whatever the checks say of it. The file itself stays where it is
/// until the ledger names another.
pub(super) async fn accept(root: Arc<PathBuf>, document: Claimed, path: PathBuf) -> Result<Sealed, IntakeError> {
    let failed = disk(&path);
    let sealed = spawn_blocking({
        let path = path.clone();
        move || {
            let (size, sha256) = measure(&path)?;
            let media_type = match judge(&document, BufReader::new(File::open(&path)?), size)? {
                Ok(media_type) => media_type,
                Err(reason) => reason.media_type(),
            };
            let fast = document.feed.platform() == "fast";
            let summary = summary_of(fast, media_type, BufReader::new(File::open(&path)?))?;
            // Copied, not linked: it may lie in the quarantine because it could not be synced, and would be no safer.
            let temporary = root.join(layout::INCOMING).join(format!("{}.part", document.id));
            let mut copy = create(&root, &temporary, &partial_name(&document))?;
            io::copy(&mut File::open(&path)?, &mut copy)?;
            let copy = sealed_path(&root, &document, size, &sha256, true);
            std::fs::rename(temporary, &copy)?;
            let syncing = Syncing::begin(copy.clone(), tag_of(&document));
            Ok(Sealed { document, path: copy, size, sha256, media_type, summary, syncing })
        }
    });
    sealed.await.map_err(|error| failed(error.into()))?.map_err(disk(&path))
}

/// Size and SHA-256 of a file. This blocks.
///
/// # Errors
/// What the system says.
pub fn measure(path: &Path) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut file = BufReader::with_capacity(SPILL, File::open(path)?);
    let mut size = 0;
    loop {
        let chunk = io::BufRead::fill_buf(&mut file)?;
        if chunk.is_empty() {
            return Ok((size, hex(&hash.finalize())));
        }
        hash.update(chunk);
        let count = chunk.len();
        size += count as u64;
        io::BufRead::consume(&mut file, count);
    }
}
