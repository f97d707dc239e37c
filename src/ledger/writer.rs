//! The ledger's one writer: a task that commits whatever has queued up while the last commit was synced.
//!
//! A commit costs one sync of the disk whatever it holds, so sixteen downloads that finish together pay for one. Work
//! is answered only after its commit; when a commit fails, nothing of its batch has happened, and each is told so.

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use tokio::sync::{mpsc, oneshot};

use super::LedgerError;
use crate::log::event;
use crate::step::step;

/// Pieces of work committed together at most: bounds how long one commit takes.
const BATCH: usize = 128;

/// What runs inside a transaction.
pub(super) type Statement<T> =
    Box<dyn for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, sqlx::Error>> + Send>;

/// A piece of work that waits for its commit.
pub(super) trait Job: Send {
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), sqlx::Error>>;
    fn finish(self: Box<Self>, outcome: Result<(), Arc<LedgerError>>);
    /// It is one statement, which is a transaction by itself.
    fn is_single(&self) -> bool {
        false
    }
}

struct Work<T> {
    statement: Option<Statement<T>>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, LedgerError>>,
}

impl<T: Send + 'static> Job for Work<T> {
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), sqlx::Error>> {
        Box::pin(async move {
            if let Some(statement) = self.statement.take() {
                self.value = Some(statement(connection).await?);
            }
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: Result<(), Arc<LedgerError>>) {
        let answer = match (outcome, self.value) {
            (Ok(()), Some(value)) => Ok(value),
            (Err(error), _) => Err(LedgerError::Batch(error)),
            (Ok(()), None) => Err(LedgerError::Closed),
        };
        // Nobody waits any more when the caller was cancelled; the commit stands.
        drop(self.reply.send(answer));
    }
}

/// What the writing task is sent.
enum Message {
    Work(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// The way to the writing task. Cheap to clone.
#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::UnboundedSender<Message>,
}

impl Writer {
    /// Starts the task that owns `connection`. It ends, and closes it, on [`Writer::close`] or with the last `Writer`.
    pub(super) fn start(connection: SqliteConnection, path: Arc<PathBuf>) -> Self {
        let (queue, messages) = mpsc::unbounded_channel();
        tokio::spawn(write(connection, messages, path));
        Self { queue }
    }

    /// Commits what has queued up and closes the connection; later work is refused.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Message::Close(reply)).is_ok() {
            // An error means that the task has ended already: closed all the same.
            drop(closed.await);
        }
    }

    /// Runs `statement` in the next transaction; the answer comes once that is durable.
    pub(super) async fn run<T: Send + 'static>(&self, statement: Statement<T>) -> Result<T, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.send(Box::new(Work { statement: Some(statement), value: None, reply }));
        answer.await.map_err(|_| LedgerError::Closed)?
    }

    /// Has `job` done in the next transaction; it is dropped where the writing task has ended.
    pub(super) fn send(&self, job: Box<dyn Job>) {
        // Whoever waits for it sees it dropped.
        let _ = self.queue.send(Message::Work(job));
    }
}

async fn write(mut connection: SqliteConnection, mut messages: mpsc::UnboundedReceiver<Message>, path: Arc<PathBuf>) {
    let mut queued = Vec::with_capacity(BATCH);
    let mut closing = None;
    while closing.is_none() && messages.recv_many(&mut queued, BATCH).await > 0 {
        let mut batch = Vec::with_capacity(queued.len());
        for message in queued.drain(..) {
            match message {
                Message::Work(job) => batch.push(job),
                Message::Close(reply) => closing = Some(reply),
            }
        }
        match commit(&mut connection, &mut batch).await {
            Ok(()) => batch.into_iter().for_each(|job| job.finish(Ok(()))),
            Err(error) => fail(batch, &path, error),
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(event = event::LEDGER_FAILED, %error, "the ledger did not close cleanly; it will be recovered when it is opened again");
    }
    if let Some(reply) = closing {
        // Whoever asked may have gone; the connection is closed all the same.
        let _ = reply.send(());
    }
}

/// One transaction. `BEGIN IMMEDIATE`: a deferred one that reads first fails at once when another program writes.
async fn commit(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> Result<(), sqlx::Error> {
    match batch {
        [] => return Ok(()),
        [job] if job.is_single() => {
            step("commit");
            job.run(connection).await?;
            step("committed");
            return Ok(());
        }
        _ => {}
    }
    connection.execute("BEGIN IMMEDIATE").await?;
    for job in batch.iter_mut() {
        if let Err(error) = job.run(connection).await {
            roll_back(connection).await;
            return Err(error);
        }
    }
    step("commit");
    if let Err(error) = connection.execute("COMMIT").await {
        roll_back(connection).await;
        return Err(error);
    }
    step("committed");
    Ok(())
}

async fn roll_back(connection: &mut SqliteConnection) {
    // SQLite has often rolled back by itself (disk full): its complaint that no transaction is open says nothing new.
    if let Err(error) = connection.execute("ROLLBACK").await {
        tracing::debug!(event = event::LEDGER_FAILED, %error, "rollback");
    }
}

/// Tells every waiting caller what went wrong with the batch.
fn fail(batch: Vec<Box<dyn Job>>, path: &Arc<PathBuf>, error: sqlx::Error) {
    let shared = Arc::new(LedgerError::from_sqlx(path.as_ref().clone(), error));
    for job in batch {
        job.finish(Err(Arc::clone(&shared)));
    }
}
