//! From what the sources say to settings.

use std::path::Path;
use std::time::Duration;

use super::address::{self, Platform};
use super::apis::{DouaneEnvironment, PisteEnvironment};
use super::finding::{Fault, Finding, Place, Weight};
use super::fragment::{Entry, Fragment, Leaf};
use super::layers::{self, Layers};
use super::settings::{Fast, Http, Settings};
use super::{accounts, alerts, feeds, rules, targets};

/// Where PISTE gives tokens for production, and, by its guide, for the sandbox as well.
pub const PISTE_TOKEN_URL: &str = "https://oauth.piste.gouv.fr/api/oauth/token";
/// Where public clients of the sandbox ask for tokens.
pub const PISTE_SANDBOX_TOKEN_URL: &str = "https://sandbox-oauth.piste.gouv.fr/api/oauth/token";

/// Puts together what the files (the main one, `main`, first) and the `environment` say.
pub(super) fn assemble(
    main: &Path,
    fragments: &mut [Fragment],
    environment: &[Leaf],
    findings: &mut Vec<Finding>,
) -> Option<Settings> {
    layers::conflicts(fragments.iter().skip(1).map(|fragment| &*fragment.leaves), findings);
    let files = fragments.iter().map(|fragment| &*fragment.leaves);
    let (layers, mut settings) = match lay(files.chain(std::iter::once(environment))) {
        Ok(laid) => laid,
        Err(error) => {
            // Every leaf has been checked, so that this tells of a mistake of ours.
            let fault = Fault::new(format!("does not fit together: {error}"), "report this as a bug");
            findings.push(fault.at(Weight::Error, Place { file: Some(main.to_owned()), ..Place::default() }));
            return None;
        }
    };

    let whole = fragments.iter().all(|fragment| fragment.whole);
    let entries: Vec<Entry> = fragments.iter_mut().flat_map(|fragment| fragment.entries.drain(..)).collect();
    let (wanted, entries): (Vec<Entry>, Vec<Entry>) =
        entries.into_iter().partition(|entry| entry.list == "delivery.targets");
    let (told, entries): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|entry| entry.list == "alerts");
    judge_accounts(&mut settings, &layers, &entries, findings);
    // Where a file could not be read, the account that seems to lack may be in it.
    if whole {
        let accounts: Vec<&Entry> = entries.iter().filter(|entry| entry.list.ends_with(".accounts")).collect();
        findings.extend(accounts::none(main, &accounts, &settings));
    }
    if settings.state.backup.as_os_str().is_empty() {
        settings.state.backup = settings.state.directory.join("backup");
    }
    settings.delivery.targets = targets::judge(wanted, whole, &settings, findings);
    settings.alerts = alerts::judge(&told, whole, findings);
    rules::judge(&settings, &layers, findings);
    Some(settings)
}

fn lay<'a>(sources: impl Iterator<Item = &'a [Leaf]>) -> Result<(Layers, Settings), config::ConfigError> {
    let layers = Layers::lay(sources)?;
    let settings = layers.config.clone().try_deserialize()?;
    Ok((layers, settings))
}

/// Gives each platform its addresses and its accounts, of the tables of all files.
fn judge_accounts(settings: &mut Settings, layers: &Layers, entries: &[Entry], findings: &mut Vec<Finding>) {
    let of = |list: &str| entries.iter().filter(|entry| entry.list == list).collect::<Vec<_>>();
    if let Some(fast) = &mut settings.fast {
        complete(fast, layers, &settings.http, findings);
        (fast.accounts, fast.unusable) = accounts::judge(&of("fast.accounts"), fast.connector, findings);
    }
    if let Some(douane) = &mut settings.douane {
        let (token, api) = match douane.environment {
            DouaneEnvironment::Production => ("https://connexion-api.douane.gouv.fr", "https://api.douane.gouv.fr"),
            DouaneEnvironment::Formation => {
                ("https://connexion-api-form.douane.gouv.fr", "https://api-form.douane.gouv.fr")
            }
        };
        fill_in(&mut douane.token_url, format!("{token}/oauth2/token"));
        fill_in(&mut douane.api_url, api.to_owned());
        (douane.accounts, douane.unusable) = accounts::judge_clients(&of("douane.accounts"), "username", findings);
        let terms = terms(&of("douane.accounts"), rules::HALF_HOUR, &[&douane.token_url, &douane.api_url]);
        (douane.resources, douane.unusable_resources) = feeds::resources(&of("douane.resources"), &terms, findings);
    }
    if let Some(piste) = &mut settings.piste {
        let (token, api) = match piste.environment {
            PisteEnvironment::Production => (PISTE_TOKEN_URL, "https://api.piste.gouv.fr"),
            PisteEnvironment::Sandbox => (PISTE_SANDBOX_TOKEN_URL, "https://sandbox-api.piste.gouv.fr"),
        };
        fill_in(&mut piste.token_url, token.to_owned());
        fill_in(&mut piste.api_url, api.to_owned());
        (piste.accounts, piste.unusable) = accounts::judge_clients(&of("piste.accounts"), "client_id", findings);
        let terms = terms(&of("piste.accounts"), rules::HALF_HOUR, &[&piste.token_url, &piste.api_url]);
        (piste.resources, piste.unusable_resources) = feeds::resources(&of("piste.resources"), &terms, findings);
    }
    if let Some(entreprise) = &mut settings.entreprise {
        let of_accounts = of("entreprise.accounts");
        (entreprise.accounts, entreprise.unusable) = accounts::judge_entreprise(&of_accounts, findings);
        let terms = terms(&of_accounts, rules::HOUR, &[&entreprise.base_url]);
        let of_watches = of("entreprise.watches");
        (entreprise.watches, entreprise.unusable_watches) = feeds::watches(&of_watches, &terms, findings);
    }
}

/// What the resources of a platform are judged by: `accounts`, those at fault among them (what hangs on one of these hangs
/// on that fault alone), and the `floor`, unless it is on this machine.
fn terms<'a>(accounts: &[&'a Entry], floor: Duration, addresses: &[&str]) -> feeds::Terms<'a> {
    let accounts = accounts.iter().filter_map(|entry| entry.text("name")).collect();
    feeds::Terms { accounts, floor: (!rules::on_this_machine(addresses)).then_some(floor) }
}

fn fill_in(address: &mut String, usual: String) {
    if address.is_empty() {
        *address = usual;
    }
}

/// Fills in what follows from other keys.
fn complete(fast: &mut Fast, layers: &Layers, http: &Http, findings: &mut Vec<Finding>) {
    if fast.base_url.is_empty() {
        let demo = layers.config.get_string("fast.environment").is_ok_and(|environment| environment == "demo");
        fast.base_url = if demo { "https://demo-parapheur.dfast.fr" } else { "https://parapheur.dfast.fr" }.to_owned();
    }
    match Platform::parse(&fast.base_url) {
        Ok(Platform { origin, loopback, .. }) => (fast.origin, fast.loopback) = (origin, loopback),
        Err(fault) => {
            findings.push(Fault::new(fault, address::PLATFORM).at(Weight::Error, layers.place("fast.base_url")))
        }
    }
    fast.proxy = fast.proxy.take().or_else(|| http.proxy.clone());
    fast.ca_certificate = fast.ca_certificate.take().or_else(|| http.ca_certificate.clone());
}
