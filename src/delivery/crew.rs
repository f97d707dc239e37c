//! Syncs the files of one batch side by side, which costs the disk little more than one, while more are written.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use crate::archive::write;

/// Threads that sync one batch: on ext4 each adds some; more cost more than they gain.
const HANDS: usize = 8;

/// A file, and where its outcome is awaited.
type Task = (File, mpsc::Sender<io::Result<()>>);

/// Threads that last for one batch.
pub(super) struct Crew {
    /// `None`: whoever has a file synced does it.
    queue: Option<mpsc::Sender<Task>>,
}

/// A sync that is under way.
pub(super) struct Syncing(mpsc::Receiver<io::Result<()>>);

impl Crew {
    /// Has `work` done with a crew for so many `files`; returns when all that it was given is synced.
    pub(super) fn at<T>(files: usize, work: impl FnOnce(&Self) -> T) -> T {
        let (queue, waiting) = mpsc::channel();
        let waiting = Mutex::new(waiting);
        thread::scope(|scope| {
            let hire = |_: &usize| {
                let hand = thread::Builder::new().name("syncer".to_owned());
                hand.spawn_scoped(scope, || serve(&waiting)).is_ok()
            };
            let hands = if files > 1 { files.min(HANDS) } else { 0 };
            let some = (0..hands).filter(hire).count() > 0;
            // Its end is the end of theirs.
            let crew = Self { queue: some.then_some(queue) };
            work(&crew)
        })
    }

    /// Has `file` synced. After an error it is never tried again: the file counts as lost.
    pub(super) fn sync(&self, file: File) -> Syncing {
        let (outcome, awaited) = mpsc::channel();
        let left = match &self.queue {
            Some(queue) => queue.send((file, outcome)).err().map(|mpsc::SendError(task)| task),
            None => Some((file, outcome)),
        };
        left.into_iter().for_each(perform);
        Syncing(awaited)
    }
}

impl Syncing {
    /// How it ended, once it has.
    pub(super) fn outcome(self) -> io::Result<()> {
        self.0.recv().unwrap_or_else(|_| Err(io::Error::other("the syncing thread died")))
    }
}

fn serve(waiting: &Mutex<mpsc::Receiver<Task>>) {
    loop {
        let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        perform(task);
    }
}

fn perform((file, outcome): Task) {
    // Nobody waits any more where the batch was cut short.
    let _ = outcome.send(write::sync(&file));
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn each_file_is_told_its_own_outcome_by_one_hand_or_by_many() {
        for files in [1, 2, 40] {
            Crew::at(files, |crew| {
                let syncing: Vec<Syncing> = (0..files)
                    .map(|number| {
                        // A socket is no file that could be synced.
                        let socket = || File::from(std::os::fd::OwnedFd::from(UnixStream::pair().unwrap().0));
                        crew.sync(if number % 3 == 1 { socket() } else { tempfile::tempfile().unwrap() })
                    })
                    .collect();
                for (number, one) in syncing.into_iter().enumerate() {
                    assert_eq!(one.outcome().is_err(), number % 3 == 1, "{number} of {files}");
                }
            });
        }
    }
}
