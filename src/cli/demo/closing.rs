//! What a person reads before and after the story.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::daemon::Daemon;
use super::stage::{ACCOUNT, INTERVAL, OTHERS, SIREN, Stage};
use crate::cli::status;
use crate::ledger;
use crate::status::Overview;
use crate::tongue::Tongue;

/// A question that the ledger answers.
const QUERY: &str = "SELECT feed, remote_id, state, attempts, size, stored_at FROM documents ORDER BY stored_at";

/// Who takes part, and where.
pub(super) fn introduce(stage: &Stage, daemon: &Daemon) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "Simulated platforms and the real daemon, on this machine only; about 20 s. Times are of Paris.\n")?;
    writeln!(out, "  platform  {}, which demands a client certificate", stage.address())?;
    writeln!(out, "  daemon    process {}, `run` with {}", daemon.id(), stage.config().display())?;
    writeln!(
        out,
        "  account   {ACCOUNT}, SIREN {SIREN}: three feeds, each listed every {} s (in life: 30 min)",
        INTERVAL.as_secs()
    )?;
    for (name, siren, connector, _) in OTHERS {
        writeln!(out, "            {name}, SIREN {siren}: two feeds, over {connector}")?;
    }
    writeln!(out, "            douane/siege, piste/sne, entreprise/marches: one feed each, asked as often")
}

/// The closing summary.
pub(super) fn summarize(stage: &Stage, overview: &Overview) -> anyhow::Result<()> {
    let (documents, again) = stage.verify()?;
    let (versions, tokens, calls) = stage.verify_apis()?;
    let mut out = io::stdout().lock();
    writeln!(out, "\n`vaguemestre status`, a moment ago:\n")?;
    status::show(&mut out, Tongue::English, overview, false)?;
    writeln!(out, "\nFiles in {}:\n", stage.state().display())?;
    for top in ["archive", "inbox"] {
        tree(&mut out, &stage.state(), top)?;
    }
    writeln!(out, "\nThe ledger, which remembers it all:\n\n  {}\n", query(stage))?;
    writeln!(
        out,
        "{documents} documents collected, each downloaded once, and in the inbox byte for byte as it was sent."
    )?;
    writeln!(
        out,
        "{versions} versions of what the other platforms say, one per change, by {tokens} tokens ({calls} calls of API \
         Entreprise, none refused)."
    )?;
    for id in again {
        writeln!(out, "({id} was asked for twice: the first answer was none, and is in archive/quarantine.)")?;
    }
    if !stage.is_kept() {
        writeln!(out, "The directory goes now; `demo --keep` goes on, and leaves it to look around.")?;
    }
    Ok(())
}

/// With `--keep`: how to look around.
pub(super) fn invite(stage: &Stage) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "\nThe daemon goes on, and documents come, until Ctrl-C. Look around, from another terminal:\n")?;
    let command = format!("{} --config {}", std::env::current_exe()?.display(), stage.config().display());
    for arguments in ["status", "documents", "plan --for 1m"] {
        writeln!(out, "  {command} {arguments}")?;
    }
    writeln!(out, "  {}\n  tail -f {}\n", query(stage), stage.log().display())?;
    Ok(())
}

/// With `--keep`: what is left.
pub(super) fn part(stage: &Stage) -> io::Result<()> {
    writeln!(io::stdout(), "\nEverything stays in {}", stage.folder().display())
}

fn query(stage: &Stage) -> String {
    format!("sqlite3 -header -column {} \"{QUERY}\"", stage.state().join(ledger::FILE).display())
}

/// Folders below `root`/`top` that hold files, with these.
fn tree(out: &mut impl Write, root: &Path, top: &str) -> io::Result<()> {
    let mut folders = BTreeMap::new();
    walk(&root.join(top), &mut folders)?;
    for (folder, mut files) in folders {
        writeln!(out, "  {}/", folder.strip_prefix(root).unwrap_or(&folder).display())?;
        files.sort();
        files.iter().try_for_each(|(name, size)| writeln!(out, "    {name:<24} {size:>8}"))?;
    }
    Ok(())
}

fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<(String, u64)>>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        if facts.is_dir() {
            walk(&entry.path(), found)?;
        } else {
            let file = (entry.file_name().to_string_lossy().into_owned(), facts.len());
            found.entry(folder.to_owned()).or_default().push(file);
        }
    }
    Ok(())
}
