//! `vaguemestre show`: the whole file of one document.

use std::io::Write;

use clap::Args;

use super::{Context, Outcome, exit, print, runtime};
use crate::ledger::{DeliveryRow, Dossier, Ledger, TryRow};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The platform's id of a document, or its NomFic
    #[arg(value_name = "ID|NOMFIC")]
    wanted: String,
    /// A JSON array
    #[arg(long)]
    json: bool,
}

/// Nothing of that id or name.
#[derive(Debug, thiserror::Error)]
#[error("the ledger knows no document of the id or NomFic «{0}»")]
struct NotFound(String);

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    context.start_log();
    context.enter(&settings)?;
    let found = runtime()?.block_on(async {
        let ledger = Ledger::open_reading(&settings.state.directory).await?;
        let found = ledger.dossiers(&arguments.wanted).await;
        ledger.close().await;
        found
    });
    let dossiers = found.map_err(|error| print::with_remedy(error.remedy(), error))?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if arguments.json {
        serde_json::to_writer_pretty(&mut out, &dossiers)?;
        writeln!(out)?;
    } else {
        for (number, dossier) in dossiers.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            tell(&mut out, dossier)?;
        }
    }
    out.flush()?;
    if dossiers.is_empty() {
        return Err(print::with_remedy("`vaguemestre documents` lists them", NotFound(arguments.wanted.clone())));
    }
    Ok(exit::DONE)
}

fn tell(out: &mut impl Write, dossier: &Dossier) -> std::io::Result<()> {
    let row = &dossier.row;
    let at = |text: &Option<String>| text.as_deref().map(time);
    let modified = at(&dossier.remote_modified).map(|time| format!(", changed {time}"));
    let place = dossier.remote_path.as_ref().map(|path| {
        let etag = dossier.remote_etag.as_ref().map(|etag| format!(", entity tag {etag}")).unwrap_or_default();
        format!("out/{path}{etag}{}", modified.unwrap_or_default())
    });
    let tries = format!("{} that counted, {} cut short", row.attempts, row.interruptions);
    let facts = [
        ("feed", Some(row.feed.clone())),
        ("id", Some(row.remote_id.clone())),
        ("state", Some(row.state.clone())),
        ("NomFic", row.name.clone()),
        ("says", row.outcome().map(str::to_owned)),
        ("circuit", row.circuit.clone()),
        ("label", row.label.clone()),
        ("listed", Some(time(&row.listed_at))),
        ("asked for", at(&row.requested_at)),
        ("tries", Some(tries)),
        ("next try", at(&dossier.next_try_at).filter(|_| row.state == "failed")),
        ("stored", at(&row.stored_at)),
        ("by poll", row.poll_id.map(|poll| poll.to_string())),
        ("size", row.size.map(|size| format!("{size} bytes"))),
        ("sha256", row.sha256.clone()),
        ("media type", row.media_type.clone()),
        ("archive", row.archive_path.clone().filter(|_| row.purged_at.is_none())),
        ("purged", at(&row.purged_at)),
        ("set aside", dossier.quarantine_path.clone()),
        ("on platform", place),
        ("removed there", at(&row.released_at)),
        ("not removed", dossier.release_error.clone().filter(|_| row.released_at.is_none())),
        ("same as", dossier.same_as.as_ref().map(|id| format!("{id}, which came over another interface"))),
        ("error", row.error.clone()),
    ];
    for (name, value) in facts {
        if let Some(value) = value {
            writeln!(out, "{:<15}{value}", format!("{name}:"))?;
        }
    }
    for TryRow { asked_at, counted, error } in &dossier.tries {
        let counts = if *counted { "" } else { " (does not count)" };
        writeln!(out, "{:<15}{}{counts}: {error}", "try:", time(asked_at))?;
    }
    errors(out, dossier)?;
    for delivery in &dossier.deliveries {
        writeln!(out, "{:<15}{}", "delivery:", words(delivery))?;
    }
    Ok(())
}

/// The errors of an acknowledgement, each with its place.
fn errors(out: &mut impl Write, dossier: &Dossier) -> std::io::Result<()> {
    let summary = dossier.row.summary.as_deref().and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let Some(summary) = summary else { return Ok(()) };
    let list = |name: &str| summary.get(name).and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
    // What is accepted may carry errors all the same.
    let accepted = summary.get("accepted").and_then(serde_json::Value::as_bool) == Some(true);
    let heading = if accepted { "remark:" } else { "refused for:" };
    for error in list("errors") {
        let text = |name: &str| error.get(name).and_then(serde_json::Value::as_str).unwrap_or("-").to_owned();
        let place = |name: &str| Some(format!("{name} {}", error.get("place")?.get(name)?.as_str()?));
        let places: Vec<String> = ["bordereau", "piece", "ligne"].into_iter().filter_map(place).collect();
        let places = if places.is_empty() { String::new() } else { format!(" ({})", places.join(", ")) };
        writeln!(out, "{:<15}{} {}{places}", heading, text("code"), text("label"))?;
    }
    for invoice in list("invoices") {
        let text = |name: &str| invoice.get(name).and_then(serde_json::Value::as_str).unwrap_or("-").to_owned();
        let (id, cpro) = (text("id"), text("id_cpro"));
        writeln!(out, "{:<15}{id} ({cpro}) of {}: {}", "invoice:", text("supplier"), text("amount"))?;
    }
    Ok(())
}

fn words(delivery: &DeliveryRow) -> String {
    let DeliveryRow { target, state, attempts, created_at, delivered_at, next_try_at, error } = delivery;
    let mut words = format!("{target}: {state}, ordered {}, {attempts} tries", time(created_at));
    if let Some(at) = delivered_at {
        words += &format!(", handed over {}", time(at));
    }
    if let (Some(at), "failed") = (next_try_at, state.as_str()) {
        words += &format!(", next try {}", time(at));
    }
    if let Some(error) = error {
        words += &format!(": {error}");
    }
    words
}

/// A time of the ledger as people read it.
fn time(text: &str) -> String {
    print::paris_time(text.parse().ok())
}
