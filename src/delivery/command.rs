//! A program called once for each document, or for each notice of alerts: an argument list, never a shell.
//!
//! It runs as the daemon's user, in a process group of its own, with a clean environment. Exit code 0 means
//! taken; anything else is a failure, told by the end of what it wrote.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::facts::Facts;
use crate::config::Program;
use crate::words::presentable;

/// What of our environment a program is given.
const PASSED_ON: [&str; 6] = ["PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_MESSAGES", "TZ"];
/// Told to end, a program may take so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Once it has ended, what it wrote last is waited for so long: a child that it left behind may hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// Bytes of its output that are remembered.
const REMEMBERED: usize = 2048;
/// Characters of these that are told.
const TOLD: usize = 300;

/// Whether `program` can be called at all.
///
/// # Errors
/// Why not, and what to do.
pub fn judge(program: &Program) -> Result<(), String> {
    let path = program.path();
    let shown = path.display();
    match path.metadata() {
        Err(error) => Err(format!("the program {shown} cannot be called: {error}; install it, or correct `command`")),
        Ok(facts) if !facts.is_file() => Err(format!("{shown} is not a program; correct `command`")),
        Ok(_) => access(path, AccessFlags::X_OK).map_err(|_| {
            format!("the program {shown} may not be called by this user; give the daemon's user leave to (chmod a+rx)")
        }),
    }
}

/// Calls `program`, `facts` standing in its arguments and in its environment; it is given `input` to read.
///
/// # Errors
/// Why it failed, in one line.
pub(crate) async fn call(program: &Program, facts: &Facts<'_>, input: &[u8]) -> Result<(), String> {
    let (path, arguments) = (program.path(), program.command.iter().skip(1).map(|argument| facts.fill(argument)));
    let mut command = Command::new(path);
    command.args(arguments).env_clear().envs(facts.variables()).current_dir("/").process_group(0).kill_on_drop(true);
    command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    command.stdin(stdin);
    let (mut child, output) = start(command).map_err(|error| not_started(path, &error))?;
    let mut group = Group::of(&child);
    let (tail, stdin) = (Mutex::new(Vec::new()), child.stdin.take());
    let output = async { tokio::join!(feed(stdin, input), drain(output, &tail)) };
    tokio::pin!(output);
    let mut silent = false;
    let waited = timeout(program.timeout, async {
        loop {
            tokio::select! {
                status = child.wait() => return status,
                _ = &mut output, if !silent => silent = true,
            }
        }
    });
    let (ended, seconds) = (waited.await.ok(), program.timeout.as_secs_f64());
    let what = match ended {
        Some(status) => {
            group.let_go();
            if !silent {
                // It may never come: then what came before is told.
                let _ = timeout(LAST_WORDS, &mut output).await;
            }
            match status {
                Ok(status) if status.success() => return Ok(()),
                Ok(status) => how(status),
                Err(error) => format!("what became of it is not known ({error})"),
            }
        }
        None => {
            end(&mut child, &mut group).await;
            format!("did not end within {seconds} s and was stopped")
        }
    };
    let words = presentable(&String::from_utf8_lossy(&tail.lock().unwrap_or_else(PoisonError::into_inner)), usize::MAX);
    Err(format!("{} {what}{}", path.display(), last(&words)))
}

/// Starts `command`, and gives what it writes: results and errors by one pipe, so that the last words are those it wrote last.
fn start(mut command: Command) -> std::io::Result<(Child, pipe::Receiver)> {
    let (output, results) = std::io::pipe()?;
    command.stderr(results.try_clone()?).stdout(results);
    Ok((command.spawn()?, pipe::Receiver::from_owned_fd(output.into())?))
}

/// Gives a program what it is to read. One that does not want it all is free not to.
async fn feed(to: Option<impl AsyncWrite + Unpin>, input: &[u8]) {
    if let Some(mut to) = to {
        let _ = to.write_all(input).await;
    }
}

fn not_started(path: &Path, error: &std::io::Error) -> String {
    let hint = if error.kind() == std::io::ErrorKind::NotFound {
        " (is the interpreter that its first line names there?)"
    } else {
        ""
    };
    format!("{} could not be started: {error}{hint}", path.display())
}

fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("failed with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    }
}

/// The end of what a program wrote.
fn last(words: &str) -> String {
    let count = words.chars().count();
    match words.char_indices().nth(count.saturating_sub(TOLD)) {
        None => String::new(),
        Some((0, _)) => format!(": {words}"),
        Some((from, _)) => format!(": …{}", &words[from..]),
    }
}

/// Reads all that a program writes, for one that nobody listens to stands still; remembers the end.
async fn drain(mut from: impl AsyncRead + Unpin, tail: &Mutex<Vec<u8>>) {
    let mut chunk = [0_u8; 1024];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
        tail.extend_from_slice(&chunk[..count]);
        let surplus = tail.len().saturating_sub(REMEMBERED);
        tail.drain(..surplus);
    }
}

/// Ends a program that lasts too long, with all that it has started.
async fn end(child: &mut Child, group: &mut Group) {
    group.signal(Signal::SIGTERM);
    // Whether it ended or not: what it has started may not have.
    let _ = timeout(PATIENCE, child.wait()).await;
    group.signal(Signal::SIGKILL);
    group.let_go();
    // Nothing survives that.
    let _ = child.wait().await;
}

/// The processes of one call: none outlives a call that is dropped (the daemon stops, and waits no longer).
struct Group {
    leader: Option<Pid>,
    held: bool,
}

impl Group {
    fn of(child: &Child) -> Self {
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Self { leader, held: true }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // None of them is left: that is what is wanted.
            let _ = killpg(leader, signal);
        }
    }

    fn let_go(&mut self) {
        self.held = false;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.held {
            self.signal(Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_end_of_what_a_program_wrote_is_told_and_no_more() {
        assert_eq!(super::last(""), "");
        assert_eq!(super::last("no such customer"), ": no such customer");
        let long = format!("{}é end", "x".repeat(500));
        let told = super::last(&long);
        assert!(told.starts_with(": …x") && told.ends_with("xé end"), "{told}");
        assert_eq!(told.chars().count(), 303);
    }
}
