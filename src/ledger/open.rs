//! Opening the ledger: making it, judging it, migrating it.

use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqlitePool};

use super::writer::Writer;
use super::{FILE, Ledger, LedgerError, documents};
use crate::clock::stamp;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long we wait for another program (a person's `sqlite3`, a backup) to let go of the ledger.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ledgers up to this size are checked whole at every start (about 50 ms per 10 MiB); larger ones only at their head.
const CHECKED_WHOLE: u64 = 256 << 20;

/// SQLite versions before this one can corrupt a WAL that two connections write (<https://sqlite.org/wal.html>).
const SOUND_SQLITE: (u32, u32, u32) = (3, 51, 3);

/// Connections that read, at most; a daemon keeps one of them for its ticks.
const READERS: u32 = 3;

impl Ledger {
    /// Opens the ledger of the state directory `directory` for writing; makes or migrates it where needed.
    ///
    /// The caller holds the lock on the state directory.
    ///
    /// # Errors
    /// Every variant of [`LedgerError`] but `Missing` and `Older`; nothing was changed then.
    pub async fn open(directory: &Path, now: Timestamp) -> Result<Self, LedgerError> {
        let path = directory.join(FILE);
        let fresh = prepare(directory, &path)?;
        let failed = |error| LedgerError::from_sqlx(path.clone(), error);
        if !fresh {
            examine(&path).await?;
        }
        let mut connection = options(&path).connect().await.map_err(failed)?;
        assert_sound(&mut connection, &path).await?;
        migrate(&mut connection, &path, fresh).await?;
        let seed = seed(&mut connection, now).await.map_err(failed)?;
        let path = Arc::new(path);
        let readers = readers(&path).await?;
        let writer = Writer::start(connection, Arc::clone(&path));
        Ok(Self { path, seed, readers, asked: Arc::default(), writer: Some(writer), claims: documents::claims() })
    }

    /// Opens it for reading only, beside a daemon or without one; never makes or migrates it.
    ///
    /// # Errors
    /// `Missing`, `Older`, `Newer`, `Corrupt`, or what SQLite says.
    pub async fn open_reading(directory: &Path) -> Result<Self, LedgerError> {
        let path = directory.join(FILE);
        refuse_missing(&path)?;
        let readers = readers(&path).await?;
        let failed = |error| LedgerError::from_sqlx(path.clone(), error);
        let mut connection = readers.acquire().await.map_err(failed)?;
        let found = applied(&mut connection).await.map_err(failed)?;
        drop(connection);
        require_version(&path, found)?;
        let seed: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT seed FROM installation").fetch_optional(&readers).await.map_err(failed)?;
        // Whoever makes it draws the seed last.
        let seed = seed.ok_or_else(|| LedgerError::Missing(path.clone()))?;
        let seed = seed.try_into().map_err(|_| corrupt(&path, "its seed is not of 32 bytes"))?;
        let (path, claims) = (Arc::new(path), documents::claims());
        Ok(Self { path, seed, readers, asked: Arc::default(), writer: None, claims })
    }

    /// Opens it to leave a request for the daemon that holds the state directory: writes only rows of `requests`.
    ///
    /// # Errors
    /// As [`Ledger::open_reading`].
    pub async fn open_beside_daemon(directory: &Path) -> Result<Self, LedgerError> {
        let mut ledger = Self::open_reading(directory).await?;
        let connection = options(&ledger.path).connect().await.map_err(|error| ledger.error(error))?;
        let writer = Writer::start(connection, Arc::clone(&ledger.path));
        ledger.writer = Some(writer);
        Ok(ledger)
    }

    /// Waits until everything written is durable and closes the connections (the last one checkpoints the WAL).
    pub async fn close(&self) {
        drop(self.asked.lock().await.take());
        self.readers.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

/// Makes the file where there is none, 0600 before SQLite sees it: its -wal and -shm inherit that. Answers whether it
/// is new.
fn prepare(directory: &Path, path: &Path) -> Result<bool, LedgerError> {
    match path.metadata() {
        Ok(facts) if !facts.is_file() => {
            return Err(LedgerError::ReadOnly { path: path.to_owned(), detail: "it is not a file".to_owned() });
        }
        Ok(facts) if facts.len() > 0 => return Ok(false),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(LedgerError::ReadOnly { path: path.to_owned(), detail: error.to_string() });
        }
        _ => {}
    }
    if has_archive(directory) {
        return Err(LedgerError::Vanished(path.to_owned()));
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .and_then(|_| File::open(directory)?.sync_all())
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::StorageFull => LedgerError::Full(path.to_owned()),
            _ => LedgerError::ReadOnly { path: path.to_owned(), detail: error.to_string() },
        })?;
    Ok(true)
}

/// Whether documents lie in the archive of the state directory `directory`.
fn has_archive(directory: &Path) -> bool {
    std::fs::read_dir(directory.join("archive"))
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| holds_documents(&entry))))
}

/// A platform's folder in the archive; those that begin with a dot, and the quarantine, hold no documents.
fn holds_documents(entry: &std::fs::DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    !name.starts_with('.') && name != "quarantine"
}

fn refuse_missing(path: &Path) -> Result<(), LedgerError> {
    match path.metadata() {
        Ok(facts) if facts.len() > 0 => Ok(()),
        Ok(_) => Err(LedgerError::Missing(path.to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(LedgerError::Missing(path.to_owned())),
        Err(error) => Err(LedgerError::ReadOnly { path: path.to_owned(), detail: error.to_string() }),
    }
}

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("mmap_size", "0")
        .pragma("cache_size", "-4096")
        .statement_cache_capacity(128)
        .disable_statement_logging()
}

async fn readers(path: &Path) -> Result<SqlitePool, LedgerError> {
    // No `journal_mode` here: only the writer sets it. `query_only`, not read-only: a WAL needs its -shm writable.
    let options = SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(PATIENCE)
        .pragma("mmap_size", "0")
        .pragma("cache_size", "-2048")
        .pragma("query_only", "on")
        .statement_cache_capacity(64)
        .disable_statement_logging();
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        // A file does not hang up: asking each time whether the connection lives would double what a look costs.
        .test_before_acquire(false)
        .idle_timeout(Duration::from_secs(60))
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options)
        .await
        .map_err(|error| LedgerError::from_sqlx(path.to_owned(), error))
}

async fn assert_sound(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(|error| LedgerError::from_sqlx(path.to_owned(), error))?;
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < SOUND_SQLITE {
        let detail = format!("this build carries SQLite {version}, whose write-ahead log is not safe; rebuild it");
        return Err(LedgerError::ReadOnly { path: path.to_owned(), detail });
    }
    Ok(())
}

/// Judges the file before anything is written into it. The connection cannot write: closing any other would move the
/// write-ahead log into a file that is damaged, or not ours to change.
/// Answers the number of the last migration applied; 0 where there is none.
pub(super) async fn examine(path: &Path) -> Result<i64, LedgerError> {
    let failed = |error| LedgerError::from_sqlx(path.to_owned(), error);
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(PATIENCE);
    let mut connection = options.disable_statement_logging().connect().await.map_err(failed)?;
    check_log(path)?;
    if let Err(error) = connection.execute("SELECT count(*) FROM sqlite_schema").await {
        // Nothing is in it yet, and whoever opens it for writing undoes what was half done.
        return if died_at_birth(&error) { Ok(0) } else { Err(failed(error)) };
    }
    assert_sound(&mut connection, path).await?;
    check(&mut connection, path).await?;
    let found = applied(&mut connection).await.map_err(failed)?;
    connection.close().await.map_err(failed)?;
    // All that it knew lay in a write-ahead log that is damaged.
    if found == 0 && path.parent().is_some_and(has_archive) {
        return Err(LedgerError::Vanished(path.to_owned()));
    }
    match require_version(path, found) {
        Err(LedgerError::Older { .. }) => Ok(found),
        verdict => verdict.map(|()| found),
    }
}

/// Whether the process that made the ledger died before it wrote ahead: SQLite's journal of that is still there, and cannot be
/// rolled back by a connection that only reads (`SQLITE_READONLY_ROLLBACK`).
fn died_at_birth(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Database(inner) if inner.code().is_some_and(|code| code == "776"))
}

/// The first bytes of a write-ahead log, but for the last bit (<https://sqlite.org/fileformat2.html#walformat>).
const LOG: u32 = 0x377f_0682;

/// A write-ahead log that does not begin as one is passed over by SQLite without a word, and with it all commits since the
/// last checkpoint. Zeroes are what a power cut leaves of a log that held nothing durable yet.
fn check_log(path: &Path) -> Result<(), LedgerError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let mut head = [0_u8; 32];
    let read = File::open(&log).and_then(|mut file| file.read_exact(&mut head));
    let begins = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) & !1;
    if read.is_err() || begins == LOG || head == [0; 32] {
        // One that is missing, or too short for a commit, holds none.
        return Ok(());
    }
    Err(corrupt(path, "its write-ahead log (ledger.sqlite-wal) does not begin as one"))
}

/// Reads the whole file (the head of a large one).
async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let failed = |error| LedgerError::from_sqlx(path.to_owned(), error);
    let size = path.metadata().map_or(0, |facts| facts.len());
    if size > CHECKED_WHOLE {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sqlite_schema")
            .fetch_one(connection)
            .await
            .map_err(failed)?;
        return Ok(());
    }
    let verdict: String = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(connection).await.map_err(failed)?;
    if verdict == "ok" { Ok(()) } else { Err(corrupt(path, &verdict)) }
}

fn corrupt(path: &Path, detail: &str) -> LedgerError {
    LedgerError::Corrupt { path: path.to_owned(), detail: detail.to_owned() }
}

fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

fn require_version(path: &Path, found: i64) -> Result<(), LedgerError> {
    let (path, known) = (path.to_owned(), known());
    match found.cmp(&known) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => Err(LedgerError::Older { path, found, known }),
        std::cmp::Ordering::Greater => Err(LedgerError::Newer { path, found, known }),
    }
}

async fn migrate(connection: &mut SqliteConnection, path: &Path, fresh: bool) -> Result<(), LedgerError> {
    let failed = |error| LedgerError::from_sqlx(path.to_owned(), error);
    let found = applied(connection).await.map_err(failed)?;
    match require_version(path, found) {
        Ok(()) => return Ok(()),
        Err(LedgerError::Older { .. }) => {}
        Err(error) => return Err(error),
    }
    if !fresh && found > 0 {
        copy_aside(connection, path, found).await.map_err(failed)?;
    }
    MIGRATIONS.run_direct(None, connection, false).await.map_err(|error| match error {
        sqlx::migrate::MigrateError::Execute(error) | sqlx::migrate::MigrateError::ExecuteMigration(error, _) => {
            LedgerError::from_sqlx(path.to_owned(), error)
        }
        other => LedgerError::Other { path: path.to_owned(), source: sqlx::Error::Migrate(Box::new(other)) },
    })
}

/// Number of the last migration applied; 0 where there is none.
async fn applied(connection: &mut SqliteConnection) -> Result<i64, sqlx::Error> {
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await?;
    if tables == 0 {
        return Ok(0);
    }
    sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(connection).await
}

async fn copy_aside(connection: &mut SqliteConnection, path: &Path, found: i64) -> Result<(), sqlx::Error> {
    let copy = PathBuf::from(format!("{}.before-{}", path.display(), found + 1));
    if let Ok(facts) = copy.metadata() {
        let changed = |facts: &std::fs::Metadata| facts.modified().ok();
        if path.metadata().is_ok_and(|ledger| changed(&ledger) <= changed(&facts)) {
            // A migration that failed has left it: it holds this very ledger.
            return Ok(());
        }
        // It is of an earlier upgrade, which was taken back since: it stays, under another name.
        let number = facts.modified().ok().and_then(|at| Timestamp::try_from(at).ok()).map_or(0, Timestamp::as_second);
        std::fs::rename(&copy, format!("{}.{number}", copy.display())).map_err(sqlx::Error::Io)?;
    }
    copy_whole(connection, &copy).await
}

/// Copies the ledger to `copy`, a file that must not be there yet: consistent, without tokens, synced.
pub(super) async fn copy_whole(connection: &mut SqliteConnection, copy: &Path) -> Result<(), sqlx::Error> {
    // VACUUM INTO takes an empty file: this one is closed to others from the start.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(copy).map_err(sqlx::Error::Io)?;
    sqlx::query("VACUUM INTO $1").bind(copy.display().to_string()).execute(connection).await?;
    without_tokens(copy).await?;
    File::open(copy).and_then(|file| file.sync_all()).map_err(sqlx::Error::Io)
}

/// Tokens stay out of copies: they are of use to whoever reads them, and worth nothing when a copy is put back.
async fn without_tokens(copy: &Path) -> Result<(), sqlx::Error> {
    let options = SqliteConnectOptions::new().filename(copy).pragma("secure_delete", "on").disable_statement_logging();
    let mut connection = options.connect().await?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'tokens'")
        .fetch_one(&mut connection)
        .await?;
    if tables > 0 {
        connection.execute("UPDATE tokens SET access_token = NULL").await?;
    }
    sqlx::Connection::close(connection).await
}

/// The installation's seed, drawn at its birth.
async fn seed(connection: &mut SqliteConnection, now: Timestamp) -> Result<[u8; 32], sqlx::Error> {
    let mut fresh = [0_u8; 32];
    getrandom::fill(&mut fresh).map_err(|error| sqlx::Error::Protocol(format!("no random numbers: {error}")))?;
    connection
        .execute(
            sqlx::query("INSERT INTO installation (id, seed, created_at) VALUES (1, $1, $2) ON CONFLICT DO NOTHING")
                .bind(fresh.to_vec())
                .bind(stamp(now)),
        )
        .await?;
    let kept: Vec<u8> = sqlx::query_scalar("SELECT seed FROM installation").fetch_one(connection).await?;
    kept.try_into().map_err(|_| sqlx::Error::Protocol("the ledger's seed is not of 32 bytes".to_owned()))
}

#[cfg(test)]
mod tests;
