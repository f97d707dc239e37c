//! `vaguemestre demo`: simulated platforms on loopback, in this process, and the real daemon against them, as a child.
//!
//! [`story`] says what happens on the platform, [`stage`] makes it happen ([`apis`] on the platforms with HTTP APIs), [`daemon`] is the child with its log,
//! [`narration`] tells a person what that log says, and [`closing`] what there is to see at the end. Nothing waits for
//! a time to pass: an act ends when the daemon has said that its documents are handed over.

mod apis;
mod closing;
mod daemon;
mod narration;
mod stage;
mod story;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::Timestamp;
use tokio::time::timeout;

use super::{Context, Outcome, exit, print, runtime};
use crate::clock::Clock;
use crate::daemon::signals::Signals;
use crate::ledger::Ledger;
use crate::status::{self, Overview};
use daemon::Daemon;
use narration::Narration;
use stage::Stage;

/// The story takes 20 s; a machine that needs longer than this has some other trouble.
const LIMIT: Duration = Duration::from_secs(45);
/// How often a new document comes with `--keep`.
const TRICKLE: Duration = Duration::from_secs(4);
/// How often the ledger is looked at while a last delivery is being recorded.
const LOOK: Duration = Duration::from_millis(50);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Stays up to look around, until Ctrl-C; keeps the temporary directory
    #[arg(long)]
    keep: bool,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    runtime()?.block_on(perform(context.clock.as_ref(), arguments.keep))
}

async fn perform(clock: &dyn Clock, keep: bool) -> Outcome {
    let mut signals = Signals::listen()?;
    let stage = Stage::build(keep).await?;
    let daemon = Daemon::start(&stage)?;
    let mut demo = Demo { clock, stage, daemon, narration: Narration::default() };
    closing::introduce(&demo.stage, &demo.daemon)?;
    let played = tokio::select! {
        played = timeout(LIMIT, demo.play()) => played,
        _ = signals.next() => bail!("interrupted before everything was collected"),
    };
    let overview = match played {
        Ok(Ok(overview)) => overview,
        Ok(Err(error)) => return demo.fail(error),
        Err(_) => return demo.fail(demo.stage.overdue(&demo.narration, LIMIT)),
    };
    if !keep {
        demo.stop().await?;
    }
    closing::summarize(&demo.stage, &overview)?;
    if keep {
        closing::invite(&demo.stage)?;
        tokio::select! {
            ended = demo.linger() => ended?,
            _ = signals.next() => demo.stop().await?,
        }
        closing::part(&demo.stage)?;
    }
    Ok(exit::DONE)
}

/// Everybody who takes part. The daemon is killed, then the directory removed, when this is dropped.
struct Demo<'a> {
    clock: &'a dyn Clock,
    daemon: Daemon,
    stage: Stage,
    narration: Narration,
}

impl Demo<'_> {
    /// All acts, to the moment when the ledger says that nothing waits any more.
    async fn play(&mut self) -> anyhow::Result<Overview> {
        for act in &story::STORY {
            self.say(act.told)?;
            self.narration.polled_well.clear();
            self.stage.perform(act);
            while !self.stage.is_complete(&self.narration) {
                self.listen().await?;
            }
        }
        let ledger = Ledger::open_reading(&self.stage.state()).await?;
        let loaded = crate::config::load(self.stage.config().as_ref(), std::iter::empty());
        let settings = loaded.settings.context("the demo's own configuration is invalid")?;
        let terms = status::Terms::new(&settings, false);
        let overview = loop {
            let now = self.clock.now();
            let overview = status::overview(&ledger, &terms, now, |_| true).await?;
            if overview.feeds.iter().all(|feed| feed.waiting_deliveries == 0) {
                break overview;
            }
            tokio::time::sleep(LOOK).await;
        };
        ledger.close().await;
        Ok(overview)
    }

    /// New documents, one after the other, for as long as someone wants to look.
    async fn linger(&mut self) -> anyhow::Result<()> {
        self.stage.list_truly();
        let mut next = tokio::time::interval(TRICKLE);
        for post in story::trickle() {
            loop {
                tokio::select! {
                    _ = next.tick() => break,
                    heard = self.listen() => heard?,
                }
            }
            self.stage.put(&post);
        }
        Ok(())
    }

    /// Waits for a line of the daemon's log, and tells it.
    async fn listen(&mut self) -> anyhow::Result<()> {
        let Some(line) = self.daemon.next().await else { bail!("the daemon ended by itself: {}", self.daemon.wait()?) };
        if let Some((at, told)) = self.narration.tell(&line, &self.stage.state()) {
            writeln!(std::io::stdout(), "{}  {told}", time(at))?;
        }
        Ok(())
    }

    fn say(&self, lines: &[&str]) -> std::io::Result<()> {
        let mut out = std::io::stdout().lock();
        writeln!(out)?;
        lines.iter().try_for_each(|line| writeln!(out, "{}  * {line}", time(self.clock.now())))
    }

    async fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.stop().await?;
        Ok(writeln!(std::io::stdout(), "{}  daemon     stopped by SIGTERM", time(self.clock.now()))?)
    }

    /// The reason, after what the daemon said last.
    fn fail(&self, reason: anyhow::Error) -> Outcome {
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nThe daemon's last words:")?;
        self.daemon.recent().try_for_each(|line| writeln!(out, "  {line}"))?;
        Err(reason)
    }
}

/// The time of day in Paris.
fn time(at: Timestamp) -> String {
    print::paris_time(Some(at)).split_off("2026-11-22 ".len())
}
