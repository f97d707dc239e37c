//! Work of one kind, asked for by many at a time, is done by one statement: whatever has queued up while the last commit was
//! synced shares the next one.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::oneshot;

use super::LedgerError;
use super::writer::{Job, Writer};

/// Does it, by one statement: answers each of what is asked for, in that order.
type Statement<A, B> = for<'c> fn(&'c mut SqliteConnection, Vec<A>) -> BoxFuture<'c, Result<Vec<B>, sqlx::Error>>;
type Reply<B> = oneshot::Sender<Result<B, LedgerError>>;
/// What is asked for, and by whom.
type Waiting<A, B> = Vec<(A, Reply<B>)>;

/// What is asked for since the last transaction began. Cheap to clone.
pub(super) struct Share<A, B> {
    waiting: Arc<Mutex<Waiting<A, B>>>,
    statement: Statement<A, B>,
}

impl<A: Send + 'static, B: Send + 'static> Share<A, B> {
    pub(super) fn new(statement: Statement<A, B>) -> Self {
        Self { waiting: Arc::default(), statement }
    }

    /// Asks for `wanted`; the answer comes once it is durable.
    pub(super) async fn run(&self, writer: &Writer, wanted: A) -> Result<B, LedgerError> {
        let (reply, answer) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push((wanted, reply));
            waiting.len() == 1
        };
        // The others go with the first.
        if first {
            writer.send(Box::new(Turn { share: self.clone(), begun: false, replies: Vec::new(), answers: Vec::new() }));
        }
        answer.await.map_err(|_| LedgerError::Closed)?
    }

    fn take(&self) -> Waiting<A, B> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<A, B> Clone for Share<A, B> {
    fn clone(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting), statement: self.statement }
    }
}

/// One transaction's part: takes what waits when its turn comes.
struct Turn<A: Send + 'static, B: Send + 'static> {
    share: Share<A, B>,
    /// Its turn has come: what waits from then on is for the next one.
    begun: bool,
    replies: Vec<Reply<B>>,
    answers: Vec<B>,
}

impl<A: Send + 'static, B: Send + 'static> Turn<A, B> {
    fn begin(&mut self) -> Vec<A> {
        self.begun = true;
        let (wanted, replies) = self.share.take().into_iter().unzip();
        self.replies = replies;
        wanted
    }
}

impl<A: Send + 'static, B: Send + 'static> Job for Turn<A, B> {
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), sqlx::Error>> {
        let wanted = self.begin();
        Box::pin(async move {
            self.answers = (self.share.statement)(connection, wanted).await?;
            Ok(())
        })
    }

    fn is_single(&self) -> bool {
        true
    }

    fn finish(mut self: Box<Self>, outcome: Result<(), Arc<LedgerError>>) {
        if !self.begun {
            // The transaction failed before.
            self.begin();
        }
        let (replies, answers) = (std::mem::take(&mut self.replies), std::mem::take(&mut self.answers));
        // Nobody waits any more where a caller was cancelled; the commit stands.
        match outcome {
            Ok(()) => replies.into_iter().zip(answers).for_each(|(reply, answer)| drop(reply.send(Ok(answer)))),
            Err(error) => {
                replies.into_iter().for_each(|reply| drop(reply.send(Err(LedgerError::Batch(Arc::clone(&error))))))
            }
        }
    }
}

impl<A: Send + 'static, B: Send + 'static> Drop for Turn<A, B> {
    fn drop(&mut self) {
        // The task that writes has ended before its turn: those who wait see their replies dropped.
        if !self.begun {
            self.begin();
        }
    }
}
