//! Commands under `strace`: what they ask of the system, in order, and what happens when a call fails or never returns.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use super::PATIENCE;

/// What changes a file system or leaves on a socket.
pub const CALLS: &str = "write,pwrite64,writev,pwritev,sendto,sendmsg,copy_file_range,sendfile,fsync,fdatasync,rename,\
                         renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,openat,ftruncate,msync,sync_file_range";

/// Whether `strace` is here and may trace; says `skipped:` where not.
pub fn is_here() -> bool {
    let status = Command::new("strace").args(["-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let here = status.is_ok_and(|status| status.success());
    if !here {
        super::skip("strace is not installed, or may not trace (Debian: package strace)");
    }
    here
}

/// `command` under strace with `options`, its threads included.
pub fn under(options: &[String], command: &Command) -> Command {
    let mut traced = Command::new("strace");
    traced.arg("-f").args(options).arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    traced.stdin(Stdio::null());
    traced
}

/// The same on one processor: one thread for all tasks.
pub fn on_one_processor(command: &Command) -> Command {
    let mut bound = Command::new("taskset");
    bound.args(["-c", "0"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    bound.stdin(Stdio::null());
    bound
}

/// Runs a command to its end, without holding up the simulated platform.
pub async fn run(command: Command) -> Output {
    let mut command = tokio::process::Command::from(command);
    tokio::time::timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap()
}

/// Options that record [`CALLS`] in `file`.
pub fn recording(file: &Path) -> Vec<String> {
    let text = |text: &str| text.to_owned();
    vec![text("-y"), text("-s"), text("65535"), format!("-etrace={CALLS}"), text("-o"), file.display().to_string()]
}

/// Options that do `what` (`signal=KILL`, `error=EIO`) to the calls `set`, `when` it says, of those on `path` if one is given.
pub fn injecting(set: &str, what: &str, when: &str, path: Option<&Path>) -> Vec<String> {
    let mut options = vec![format!("-etrace={set}"), format!("-einject={set}:{what}:when={when}")];
    options.extend(["-o".to_owned(), "/dev/null".to_owned()]);
    if let Some(path) = path {
        options.extend(["-P".to_owned(), path.display().to_string()]);
    }
    options
}

/// A strace that does something to the calls of a running process, until it lets go.
pub struct Attached(Child);

impl Attached {
    /// To the process `id` and its threads; returns once it has them.
    pub async fn to(id: i32, options: &[String]) -> Self {
        let mut command = Command::new("strace");
        command.arg("-f").args(options).args(["-p", &id.to_string()]).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains("attached") {
                line.clear();
                assert!(said.read_line(&mut line).unwrap() > 0, "strace did not attach");
            }
            // Or it would wait for a reader.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        })
        .await
        .unwrap();
        Self(child)
    }

    /// Lets go: what it did ends.
    pub async fn detach(mut self) {
        let status = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status().unwrap();
        assert!(status.success());
        tokio::task::spawn_blocking(move || self.0.wait().unwrap()).await.unwrap();
    }
}

/// One system call of a recording.
#[derive(Clone, Debug)]
pub struct Call {
    pub thread: u32,
    pub name: String,
    /// What stands between its parentheses.
    pub arguments: String,
    /// What it answered was no error.
    pub done: bool,
    /// Lines of the recording at which it began and ended.
    pub begin: usize,
    pub end: usize,
}

impl Call {
    /// The file of its descriptor, or the socket (`socket:[…]`).
    pub fn file(&self) -> Option<&str> {
        let digits =
            self.arguments.find('<').filter(|at| self.arguments[..*at].bytes().all(|it| it.is_ascii_digit()))?;
        let rest = &self.arguments[digits + 1..];
        rest.find('>').map(|end| &rest[..end])
    }

    /// The strings among its arguments.
    pub fn strings(&self) -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = self.arguments.as_str();
        while let Some(start) = rest.find('"') {
            let text = &rest[start + 1..];
            let mut escaped = false;
            let end = text.bytes().position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            });
            let Some(end) = end else { break };
            found.push(&text[..end]);
            rest = &text[end + 1..];
        }
        found
    }

    /// The path it names, of a new file or folder.
    pub fn path(&self) -> Option<&str> {
        self.strings().first().copied()
    }

    pub fn writes(&self) -> bool {
        ["write", "pwrite64", "writev", "pwritev", "copy_file_range", "sendfile", "ftruncate"]
            .contains(&self.name.as_str())
    }

    pub fn syncs(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync")
    }

    pub fn renames(&self) -> bool {
        matches!(self.name.as_str(), "rename" | "renameat" | "renameat2" | "link" | "linkat")
    }

    pub fn unlinks(&self) -> bool {
        matches!(self.name.as_str(), "unlink" | "unlinkat")
    }

    pub fn makes_folder(&self) -> bool {
        matches!(self.name.as_str(), "mkdir" | "mkdirat")
    }

    pub fn sends(&self) -> bool {
        let sends = matches!(self.name.as_str(), "write" | "writev" | "sendto" | "sendmsg");
        sends && self.file().is_some_and(|file| file.starts_with("socket:") || file.starts_with("TCP"))
    }

    /// Paths by which `strace -P` knows it again in another run.
    pub fn paths(&self) -> Vec<PathBuf> {
        let names = if self.renames() || self.unlinks() || self.makes_folder() { self.strings() } else { Vec::new() };
        names.into_iter().chain(self.file()).filter(|path| path.starts_with('/')).map(PathBuf::from).collect()
    }
}

/// Reads a recording.
pub fn parse(text: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    let mut unfinished: HashMap<u32, usize> = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let Some((thread, line)) = line.split_once(' ') else { continue };
        let (Ok(thread), line) = (thread.parse(), line.trim_start()) else { continue };
        if let Some(rest) = line.strip_prefix("<... ") {
            let Some(call) = unfinished.remove(&thread).map(|index| &mut calls[index]) else { continue };
            let tail = rest.split_once("resumed>").map_or("", |(_, tail)| tail);
            let (arguments, answer) = tail.rsplit_once(" = ").unwrap_or((tail, "?"));
            call.arguments.push_str(arguments.trim_end().trim_end_matches(')'));
            (call.done, call.end) = (succeeded(answer), number);
        } else if let Some((name, rest)) = line.split_once('(').filter(|(name, _)| !name.starts_with(['+', '-'])) {
            let is_over = !rest.ends_with("<unfinished ...>");
            let (arguments, answer) = if is_over {
                rest.rsplit_once(" = ").unwrap_or((rest, "?"))
            } else {
                unfinished.insert(thread, calls.len());
                (rest.trim_end_matches("<unfinished ...>"), "?")
            };
            let arguments = arguments.trim_end().trim_end_matches(')').to_owned();
            let name = name.to_owned();
            calls.push(Call { thread, name, arguments, done: succeeded(answer), begin: number, end: number });
        }
    }
    calls
}

fn succeeded(answer: &str) -> bool {
    answer.starts_with(|first: char| first.is_ascii_digit())
}
