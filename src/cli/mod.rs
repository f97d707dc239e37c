//! The command line: one file per command. Errors go to standard error with their causes and a remedy.

mod alert;
mod check;
mod completions;
mod config;
#[cfg(feature = "simulator")]
mod demo;
mod dismiss;
mod documents;
mod entreprise;
mod export;
mod forget;
mod lift;
mod man;
mod nagios;
mod online;
mod operator;
mod plan;
mod poll;
mod print;
mod recover;
mod replay;
mod restore;
mod retry;
mod run;
mod selection;
mod show;
mod status;
mod targets;
mod token;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};

use crate::clock::{Clock, SystemClock};
use crate::config::{LogFormat, LogLevel, Settings};
use crate::log;
use crate::tongue::Tongue;

/// Where the configuration is looked for last.
const DEFAULT_CONFIG: &str = "/etc/vaguemestre/vaguemestre.toml";
/// Threads for files and certificates: many sync side by side at the cost of one; bounded, for each keeps memory of its own.
const BLOCKING_THREADS: usize = 24;

/// Options of every command stand apart in its help.
const COMMON: &str = "Options of every command";

/// Exit codes, as the README lists them.
mod exit {
    pub(super) const DONE: u8 = 0;
    pub(super) const FAILURE: u8 = 1;
    pub(super) const CONFIGURATION: u8 = 78;
}

/// Collects what French public platforms hold for an organisation, once and on the platforms' own terms.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Invocation {
    /// The configuration [default: $VAGUEMESTRE_CONFIG, then /etc/vaguemestre/vaguemestre.toml]
    #[arg(long, global = true, value_name = "FILE", help_heading = COMMON)]
    config: Option<PathBuf>,
    /// Says more (twice: everything)
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet", help_heading = COMMON)]
    verbose: u8,
    /// Says only errors
    #[arg(short, long, global = true, help_heading = COMMON)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon, in the foreground, until SIGTERM or SIGINT
    Run,
    /// Validates configuration, secrets, certificates and the state directory
    Check(check::Arguments),
    /// Prints the effective configuration
    Config,
    /// One pass over feeds, then exits; obeys every rule of the platforms
    Poll(poll::Arguments),
    /// Previews when each feed would be polled
    Plan(plan::Arguments),
    /// How everything is going, worst first
    Status(status::Arguments),
    /// Lists what the ledger knows of documents
    Documents(documents::Arguments),
    /// Prints the whole file of one document: every date, try, delivery, error, checksum
    Show(show::Arguments),
    /// Makes documents eligible again
    Retry(retry::Arguments),
    /// Closes abandoned or lost documents
    Dismiss(dismiss::Arguments),
    /// Delivers archived documents again, with no remote call
    Replay(replay::Arguments),
    /// Copies all documents of an account that the archive holds to a folder, with a table of them
    Export(export::Arguments),
    /// Forgets an account that is no longer configured: rows, copies, tokens
    Forget(forget::Arguments),
    /// Fetches acknowledgements once more where the archive has lost them, deliberately
    Recover(recover::Arguments),
    /// Reads the archive again, against the checksums of the ledger
    Verify(verify::Arguments),
    /// Puts a copy of the ledger in its place, while no daemon runs, and takes up what the archive holds beyond it
    Restore(restore::Arguments),
    /// Prints a valid access token of an account, from the store that all programs share
    Token(token::Arguments),
    /// Sends a test to those who are told alerts
    Alert(alert::Arguments),
    /// Has API Entreprise asked again, though it seems to have banned this machine or has refused an account
    Lift(lift::Arguments),
    /// Simulated platforms and the real daemon against them, in a temporary directory; takes 20 s
    #[cfg(feature = "simulator")]
    Demo(demo::Arguments),
    /// Prints completions for a shell
    Completions(completions::Arguments),
    /// Prints a manual page
    Man(man::Arguments),
}

/// What a command failed with, for `main`.
type Outcome = anyhow::Result<u8>;

/// What commands share.
struct Context {
    config: PathBuf,
    clock: Arc<dyn Clock>,
    verbosity: Verbosity,
    /// What people are spoken to in.
    tongue: Tongue,
}

/// What `-v` and `-q` ask for.
#[derive(Clone, Copy)]
struct Verbosity {
    verbose: u8,
    quiet: bool,
}

impl Verbosity {
    /// The level to log at, where `usual` is what is configured, or a command's habit.
    fn level(self, usual: LogLevel) -> LogLevel {
        match (self.quiet, self.verbose) {
            (true, _) => LogLevel::Error,
            (false, 0) => usual,
            (false, 1) if matches!(usual, LogLevel::Error | LogLevel::Warn) => LogLevel::Info,
            (false, 1) => LogLevel::Debug,
            (false, _) => LogLevel::Trace,
        }
    }
}

impl Invocation {
    /// Carries out the command. Never panics on bad input.
    #[must_use]
    pub fn execute(self) -> ExitCode {
        leave_no_core();
        let tongue = Tongue::of_locale(|name| std::env::var(name).ok());
        let context = Context {
            config: self.config.clone().unwrap_or_else(config_file),
            clock: Arc::new(SystemClock::new()),
            verbosity: Verbosity { verbose: self.verbose, quiet: self.quiet },
            tongue,
        };
        match self.dispatch(context) {
            Ok(code) => ExitCode::from(code),
            Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
            Err(error) => {
                print::error(tongue, &error);
                ExitCode::from(exit::FAILURE)
            }
        }
    }

    fn dispatch(self, context: Context) -> Outcome {
        match self.command {
            Command::Run => run::execute(&context),
            Command::Check(arguments) => check::execute(&context, &arguments),
            Command::Config => config::execute(&context),
            Command::Poll(arguments) => poll::execute(&context, arguments),
            Command::Plan(arguments) => plan::execute(&context, &arguments),
            Command::Status(arguments) => status::execute(&context, &arguments),
            Command::Documents(arguments) => documents::execute(&context, &arguments),
            Command::Show(arguments) => show::execute(&context, &arguments),
            Command::Retry(arguments) => retry::execute(&context, arguments),
            Command::Dismiss(arguments) => dismiss::execute(&context, arguments),
            Command::Alert(arguments) => alert::execute(&context, arguments),
            Command::Lift(arguments) => lift::execute(&context, arguments),
            Command::Replay(arguments) => replay::execute(&context, arguments),
            Command::Export(arguments) => export::execute(&context, &arguments),
            Command::Forget(arguments) => forget::execute(&context, arguments),
            Command::Recover(arguments) => recover::execute(&context, arguments),
            Command::Verify(arguments) => verify::execute(&context, &arguments),
            Command::Restore(arguments) => restore::execute(&context, &arguments),
            Command::Token(arguments) => token::execute(&context, &arguments),
            #[cfg(feature = "simulator")]
            Command::Demo(arguments) => demo::execute(&context, &arguments),
            Command::Completions(arguments) => completions::execute(&arguments, Self::command()),
            Command::Man(arguments) => man::execute(&arguments, Self::command()),
        }
    }
}

/// A core dump would hold keys, passwords and tokens. Handlers to which the kernel pipes cores know no limit: they are kept
/// away by the process not being dumpable, which also keeps its memory from others of the same user.
fn leave_no_core() {
    // Lowering a limit is always allowed.
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    let _ = nix::sys::prctl::set_dumpable(false);
}

fn config_file() -> PathBuf {
    std::env::var_os("VAGUEMESTRE_CONFIG")
        .filter(|path| !path.is_empty())
        .map_or_else(|| DEFAULT_CONFIG.into(), Into::into)
}

/// `vaguemestre documents | head` is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

impl Context {
    /// Loads the configuration. Errors are printed, all of them and the problems with them, and end the command with
    /// 78; otherwise problems and notes are left to `check` and the log.
    fn settings(&self) -> Result<Settings, u8> {
        let loaded = crate::config::load(&self.config, std::env::vars());
        match loaded.settings {
            Some(settings) => Ok(settings),
            None => {
                print::faults(self.tongue, loaded.findings);
                Err(exit::CONFIGURATION)
            }
        }
    }

    /// Starts the log of a command: quiet unless asked.
    fn start_log(&self) {
        log::start(LogFormat::Text, self.verbosity.level(LogLevel::Warn));
    }

    /// As root, becomes the owner of the state directory, before anything in it is opened.
    fn enter(&self, settings: &Settings) -> anyhow::Result<()> {
        // Files for others are given their mode one by one; nothing else may leak.
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o007));
        crate::state::become_owner(&settings.state.directory).map_err(|error| print::with_remedy(error.remedy(), error))
    }
}

/// The runtime: as many threads as cores (four at most), a bounded number for blocking work.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(1, 4))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(Duration::from_secs(5))
        .thread_name("vaguemestre")
        .enable_all()
        .build()
}
