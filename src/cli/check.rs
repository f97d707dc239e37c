//! `vaguemestre check`: everything that can be judged before the daemon runs.

use std::io::Write;

use clap::Args;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;

use super::entreprise;
use super::{Context, Outcome, exit, online, print, runtime, targets};
use crate::config::{Fast, FastAccount, Finding, Place, SecretError, Settings, Weight};
use crate::daemon::assemble;
use crate::identity::{self, Identity};
use crate::poll::account::{self, AccountError};
use crate::token::{self, Client, Grant};
use crate::tongue::Tongue;
use crate::words::counted;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Opens each TLS connection as well, and holds or obtains each token; lists and downloads nothing
    #[arg(long)]
    online: bool,
}

/// An account whose certificate could be read.
pub(super) struct Readable<'a> {
    pub(super) account: &'a FastAccount,
    pub(super) identity: Identity,
}

pub(super) fn execute(context: &Context, arguments: &Arguments) -> Outcome {
    let loaded = crate::config::load(&context.config, std::env::vars());
    let mut findings = loaded.findings;
    context.start_log();
    let now = context.clock.now();
    let mut usable = None;
    if let Some(settings) = &loaded.settings {
        context.enter(settings)?;
        state_directory(settings, &mut findings);
        targets::check(settings, &mut findings);
        targets::check_alerts(settings, &mut findings);
        let clients = token::accounts(settings);
        secrets(&clients, &mut findings);
        let mut working = 0;
        if let Some(fast) = settings.fast.as_ref().filter(|fast| !fast.accounts.is_empty()) {
            let readable = certificates(fast, now, &mut findings);
            let cadence = assemble::cadence(settings, fast);
            match cadence.and_then(|cadence| Ok((assemble::platform(settings, fast)?, cadence))) {
                Ok((platform, cadence)) if arguments.online => {
                    let calendar = cadence.calendar();
                    runtime()?.block_on(online::check(&platform, calendar, &readable, now, &mut findings));
                }
                Ok(_) => {}
                Err(error) => findings.push(finding(Weight::Error, "fast", error.to_string(), error.remedy())),
            }
            working += fast.accounts.iter().filter(|account| works(account, &findings)).count();
        }
        if arguments.online {
            let ready = clients.iter().filter(|client| no_problem(&client.account, &findings)).collect::<Vec<_>>();
            let runtime = runtime()?;
            findings.extend(runtime.block_on(online::tokens(context, settings, &ready)));
            runtime.shutdown_background();
        }
        working += entreprise::check(settings, arguments.online, now, &mut findings)?;
        working += clients.iter().filter(|client| no_problem(&client.account, &findings)).count();
        usable = Some(working);
    }
    print::order(&mut findings);
    let mut out = std::io::stdout().lock();
    for finding in &findings {
        writeln!(out, "{}", print::finding(context.tongue, finding))?;
    }
    conclude(&mut out, context.tongue, &findings, usable)
}

/// The closing line and the exit code: 78 if nothing could start or no account could work, 1 if some could not.
fn conclude(out: &mut impl Write, tongue: Tongue, findings: &[Finding], usable: Option<usize>) -> Outcome {
    let count = |weight: Weight| findings.iter().filter(|finding| finding.weight == weight).count();
    let (errors, problems, notes) = (count(Weight::Error), count(Weight::Problem), count(Weight::Note));
    let code = if errors > 0 || usable == Some(0) {
        exit::CONFIGURATION
    } else if problems > 0 {
        exit::FAILURE
    } else {
        exit::DONE
    };
    let accounts = counted(usable.unwrap_or(0), "account");
    let (notes, faults) = (counted(notes, "note"), counted(problems, "problem"));
    let conclusion = match code {
        exit::DONE => format!("all is well; {accounts} can work, {notes}"),
        exit::FAILURE => format!("{faults}, {notes}; {accounts} can work"),
        _ if errors > 0 => format!("{}, {faults}, {notes}: nothing can start", counted(errors, "error")),
        _ => format!("{faults}, {notes}: no account can work"),
    };
    writeln!(out, "{}", tongue.say(&conclusion))?;
    Ok(code)
}

fn works(account: &FastAccount, findings: &[Finding]) -> bool {
    account.enabled && no_problem(&format!("fast/{}", account.name), findings)
}

pub(super) fn no_problem(account: &str, findings: &[Finding]) -> bool {
    let mark = mark(account);
    !findings.iter().any(|finding| finding.weight == Weight::Problem && finding.place.key.starts_with(&mark))
}

/// How an account is named where its files, not its table, are at fault.
fn mark(account: &str) -> String {
    format!("account {account} ")
}

pub(super) fn about(weight: Weight, account: &FastAccount, key: &str, what: String, remedy: String) -> Finding {
    about_client(weight, &format!("fast/{}", account.name), key, what, remedy)
}

/// Something about an account by its whole name.
pub(super) fn about_client(weight: Weight, account: &str, key: &str, what: String, remedy: String) -> Finding {
    finding(weight, &format!("{}{key}", mark(account)), what, remedy)
}

/// Judges the secrets of accounts that work by tokens.
fn secrets(clients: &[Client], findings: &mut Vec<Finding>) {
    for client in clients {
        let key = match client.grant {
            Grant::Password => "password",
            Grant::ClientCredentials => "client_secret",
        };
        let (weight, what) = match client.secret.read(&|name| std::env::var(name).ok()) {
            Ok(secret) if !secret.expose_secret().is_empty() => continue,
            Ok(_) => (Weight::Problem, "it is empty".to_owned()),
            Err(error @ SecretError::OutsideService(_)) => (Weight::Note, error.to_string()),
            Err(error) => (Weight::Problem, error.to_string()),
        };
        let remedy = format!("see {key} in the account's table");
        findings.push(about_client(weight, &client.account, key, what, remedy));
    }
}

pub(super) fn finding(weight: Weight, key: &str, what: String, remedy: String) -> Finding {
    Finding { weight, place: Place { file: None, line: None, key: key.to_owned() }, what, remedy }
}

fn state_directory(settings: &Settings, findings: &mut Vec<Finding>) {
    let path = &settings.state.directory;
    let name = path.display();
    if !path.exists() {
        let what = format!("{name} does not exist yet");
        let remedy = "`vaguemestre run` makes it, where its parent lets it".to_owned();
        findings.push(finding(Weight::Note, "state.directory", what, remedy));
        return;
    }
    if let Some(fault) = crate::state::mode_fault(path) {
        findings.push(finding(
            Weight::Problem,
            "state.directory",
            format!("{name}: {fault}"),
            format!("chmod 0750 '{name}'"),
        ));
    }
    if nix::unistd::access(path, nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK).is_err() {
        let what = format!("{name} cannot be written by this user");
        findings.push(finding(Weight::Problem, "state.directory", what, "give it to the daemon's user".to_owned()));
    }
    match crate::state::free_space(path) {
        Ok(free) if free <= settings.state.reserve => {
            let what = format!(
                "{name} has {} MiB free, less than the reserve of {} MiB",
                free >> 20,
                settings.state.reserve >> 20
            );
            let remedy = "make room, or lower the reserve: until then nothing is collected".to_owned();
            findings.push(finding(Weight::Problem, "state.reserve", what, remedy));
        }
        Ok(_) => {}
        Err(error) => {
            let what = format!("the free space of {name} cannot be told: {error}");
            findings.push(finding(Weight::Problem, "state.directory", what, "check the file system".to_owned()));
        }
    }
}

fn certificates<'a>(fast: &'a Fast, now: Timestamp, findings: &mut Vec<Finding>) -> Vec<Readable<'a>> {
    let mut readable = Vec::new();
    for account in fast.accounts.iter().filter(|account| account.enabled) {
        // By this one the account works, whatever has become of the first.
        let next = account::load_next(account).and_then(Result::ok).filter(|it| account::fatal(it, now).is_none());
        let softened = |weight: Weight| if next.is_some() { Weight::Note } else { weight };
        match account::load(account) {
            Ok(identity) => {
                for judgement in identity.findings(now) {
                    let weight = match judgement.weight {
                        identity::Weight::Problem => softened(Weight::Problem),
                        identity::Weight::Note => Weight::Note,
                    };
                    let what = format!("{}: {}", account.certificate.display(), judgement.message);
                    findings.push(about(weight, account, "certificate", what, judgement.remedy.to_owned()));
                }
                let ended = account::fatal(&identity, now).is_some();
                let identity = if ended { next.unwrap_or(identity) } else { identity };
                readable.push(Readable { account, identity });
            }
            Err(error) => {
                let finding = unreadable(account, &error);
                findings.push(Finding { weight: softened(finding.weight), ..finding });
                readable.extend(next.map(|identity| Readable { account, identity }));
            }
        }
        next_certificate(account, now, findings);
    }
    readable
}

/// Judges the certificate that follows: whatever is wrong with it, the account works for now.
fn next_certificate(account: &FastAccount, now: Timestamp, findings: &mut Vec<Finding>) {
    let mut say = |what: String, remedy: String| {
        findings.push(about(Weight::Note, account, "next_certificate", what, remedy));
    };
    match account::load_next(account) {
        None => {}
        Some(Ok(next)) => {
            // That it is not valid yet is as it should be.
            for judgement in next.findings(now.max(next.not_before)) {
                say(judgement.message, judgement.remedy.to_owned());
            }
        }
        Some(Err(error)) => {
            let remedy = error.remedy().unwrap_or_else(|| "see next_certificate_password".to_owned());
            say(error.to_string(), remedy);
        }
    }
}

fn unreadable(account: &FastAccount, error: &AccountError) -> Finding {
    let remedy = || error.remedy().unwrap_or_else(|| "see [[fast.accounts]] certificate_password".to_owned());
    match error {
        AccountError::Secret(SecretError::OutsideService(_)) => about(
            Weight::Note,
            account,
            "certificate_password",
            error.to_string(),
            "the certificate is judged when the service runs; `vaguemestre status` tells".to_owned(),
        ),
        AccountError::Secret(_) => about(Weight::Problem, account, "certificate_password", error.to_string(), remedy()),
        AccountError::Identity(_) => about(Weight::Problem, account, "certificate", error.to_string(), remedy()),
    }
}
