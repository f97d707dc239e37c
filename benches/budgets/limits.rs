//! What the machine can do: the same bytes into memory, syncs and commits a second.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::process::{Running, high_water};
use crate::stage::Stage;
use crate::{server, table};

/// How long each is tried.
const TRIED: Duration = Duration::from_secs(2);
/// A small document.
const DOCUMENT: [u8; 4096] = [b'x'; 4096];

/// Prints what the disk of `folder` can do.
pub async fn print(folder: &Path) -> anyhow::Result<()> {
    println!("\nthe disk of {}", folder.display());
    for threads in [1, 4, 8, 16, 32] {
        table::figure(
            &format!("files of 4 KiB written and synced a second, {threads} threads"),
            files(folder, threads)?,
            "",
        );
    }
    table::figure("SQLite commits of one row a second, synced", commits(folder).await?, "");
    Ok(())
}

/// Files of 4 KiB that `threads` write and sync in a second.
pub fn files(folder: &Path, threads: usize) -> anyhow::Result<f64> {
    let folder = tempfile::Builder::new().prefix("syncs-").tempdir_in(folder)?;
    let (begun, done) = (Instant::now(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let writer = |_| -> std::io::Result<()> {
            while begun.elapsed() < TRIED {
                let number = done.fetch_add(1, Ordering::Relaxed);
                write(&folder.path().join(number.to_string()), &DOCUMENT)?;
            }
            Ok(())
        };
        let writers: Vec<_> = (0..threads).map(|number| scope.spawn(move || writer(number))).collect();
        writers.into_iter().try_for_each(|writer| writer.join().unwrap_or(Ok(())))
    })?;
    Ok(f64::from(done.into_inner()) / begun.elapsed().as_secs_f64())
}

/// Writes a file, durably but for its name.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Transactions of one row that SQLite commits in a second, each synced.
pub async fn commits(folder: &Path) -> anyhow::Result<f64> {
    let folder = tempfile::Builder::new().prefix("commits-").tempdir_in(folder)?;
    let options = SqliteConnectOptions::new()
        .filename(folder.path().join("commits.sqlite"))
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await?;
    sqlx::query("CREATE TABLE facts (id INTEGER PRIMARY KEY, fact TEXT)").execute(&mut connection).await?;
    let (begun, mut done) = (Instant::now(), 0_u32);
    while begun.elapsed() < TRIED {
        sqlx::query("INSERT INTO facts (fact) VALUES ('a fact')").execute(&mut connection).await?;
        done += 1;
    }
    let rate = f64::from(done) / begun.elapsed().as_secs_f64();
    connection.close().await?;
    Ok(rate)
}

/// Fetches the documents 1 to `count`, `lanes` at a time over connections that stay open: into memory, or into files of
/// `folder`, each synced once; no check, no other name, no ledger. Answers how long it took.
pub async fn fetch(
    stage: &Stage,
    port: u16,
    count: u32,
    lanes: usize,
    folder: Option<&Path>,
) -> anyhow::Result<Duration> {
    let client = client(&stage.authority, &stage.client, lanes)?;
    let next = Arc::new(AtomicU32::new(1));
    let begun = Instant::now();
    let mut work = JoinSet::new();
    for _ in 0..lanes {
        let (client, next, folder) = (client.clone(), Arc::clone(&next), folder.map(Path::to_owned));
        work.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number > count {
                    return anyhow::Ok(());
                }
                let answer = client.get(server::download(port, number)).send().await?.error_for_status()?;
                let bytes = answer.bytes().await?;
                anyhow::ensure!(!bytes.is_empty(), "document {number} is empty");
                if let Some(folder) = folder.clone() {
                    tokio::task::spawn_blocking(move || write(&folder.join(number.to_string()), &bytes)).await??;
                }
            }
        });
    }
    while let Some(lane) = work.join_next().await {
        lane??;
    }
    Ok(begun.elapsed())
}

fn client(authority: &Path, certificate: &Path, lanes: usize) -> anyhow::Result<reqwest::Client> {
    use vaguemestre::http::verifier::ServerVerifier;
    let identity = vaguemestre::identity::Identity::load(certificate, None, None)?;
    let tls = identity.client_config(ServerVerifier::new(Some(authority))?)?;
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().pool_max_idle_per_host(lanes).build()?)
}

/// The highest memory of `process` so far, for a table.
pub fn peak(process: &Running) -> u64 {
    high_water(process.pid()).unwrap_or_default()
}
