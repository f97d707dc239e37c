//! The feeds of Douane, PISTE and API Entreprise, from settings to the catalog; and the subjects of watches, from the
//! configuration to the ledger.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch::Receiver;

use super::House;
use super::assemble::{self, AssemblyError, Catalog};
use crate::clock::Clock;
use crate::config::{Address, Entreprise, Group, Resource, Settings, UnusableFeed};
use crate::connector::entreprise::Api;
use crate::connector::entreprise::jwt::Jwt;
use crate::feed::FeedName;
use crate::http::verifier::ServerVerifier;
use crate::ledger::{Ledger, LedgerError};
use crate::poll::source::{self, read_token};
use crate::poll::watch::{self, Desk, Watch, Witnesses};
use crate::poll::{Feed, Lane, Platform, Source};
use crate::schedule::{Cadence, Calendar};

/// To the first byte of a resource's answer, and for any stretch of it that stands still.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Items fetched at a time, per account.
const CONCURRENCY: usize = 4;
/// The largest item or document taken, in bytes.
const LARGEST: u64 = 256 << 20;
/// Passes of a watch begin so far apart: what becomes due in between is asked together.
const GAP: SignedDuration = SignedDuration::from_secs(60);
/// The same for a platform on this machine.
const LOOPBACK_GAP: SignedDuration = SignedDuration::from_secs(1);

/// A platform with an HTTP API at `base_url`.
fn platform(name: &'static str, base_url: &str, settings: &Settings) -> Result<Platform, AssemblyError> {
    let address =
        Address::parse(base_url).map_err(|fault| AssemblyError::Address { address: base_url.to_owned(), fault })?;
    Ok(Platform {
        name,
        base_url: address.base_url,
        origin: address.origin,
        loopback: address.loopback,
        proxy: settings.http.proxy.clone(),
        no_proxy: settings.http.no_proxy.clone(),
        timeout: TIMEOUT,
        concurrency: watch::CONCURRENCY,
        verifier: ServerVerifier::new(settings.http.ca_certificate.as_deref())?,
        share: assemble::share(settings),
    })
}

/// When a resource of `platform` may be asked for.
///
/// # Errors
/// Where full hours leave no time.
pub fn cadence(settings: &Settings, every: Duration, loopback: bool) -> Result<Cadence, AssemblyError> {
    let calendar = Calendar::new(&[], Duration::ZERO, settings.schedule.avoid_hour)?;
    Ok(Cadence::new(every, settings.schedule.jitter, calendar, loopback))
}

/// Platforms with resources: name, address, resources.
fn gateways(settings: &Settings) -> Vec<(&'static str, &str, &[Resource])> {
    let douane = settings.douane.iter().map(|it| ("douane", it.api_url.as_str(), it.resources.as_slice()));
    let piste = settings.piste.iter().map(|it| ("piste", it.api_url.as_str(), it.resources.as_slice()));
    douane.chain(piste).filter(|(.., resources)| !resources.is_empty()).collect()
}

/// The name of a resource's or a watch's feed; all three were judged as names.
fn name(platform: &str, account: &str, own: &str) -> Option<FeedName> {
    format!("{platform}/{account}/{own}").parse().ok()
}

/// The feeds of these platforms, each with when it is asked for; a watch with its rounds.
///
/// # Errors
/// Where full hours leave no time.
pub fn cadences(settings: &Settings) -> Result<Vec<(FeedName, Arc<Cadence>)>, AssemblyError> {
    let mut feeds = Vec::new();
    for (word, address, resources) in gateways(settings) {
        let loopback = Address::parse(address).is_ok_and(|address| address.loopback);
        for resource in resources {
            let Some(name) = name(word, &resource.account, &resource.name) else { continue };
            feeds.push((name, Arc::new(cadence(settings, resource.every, loopback)?)));
        }
    }
    for watch in settings.entreprise.iter().flat_map(|it| &it.watches) {
        let Some(name) = name("entreprise", &watch.account, &watch.name) else { continue };
        let calendar = Calendar::new(&[], Duration::ZERO, Duration::ZERO)?;
        feeds.push((name, Arc::new(Cadence::new(watch.every, Duration::ZERO, calendar, true))));
    }
    Ok(feeds)
}

pub(super) fn resources(settings: &Settings, catalog: &mut Catalog) -> Result<(), AssemblyError> {
    for (word, address, resources) in gateways(settings) {
        let platform = Arc::new(platform(word, address, settings)?);
        for resource in resources {
            let Some(name) = name(word, &resource.account, &resource.name) else { continue };
            let cadence = Arc::new(cadence(settings, resource.every, platform.loopback)?);
            let source = Source::Resource(Arc::clone(&platform), Arc::new(resource.clone()));
            let lane = Arc::new(Lane::new(CONCURRENCY, LARGEST));
            catalog.insert(name.clone(), Feed { name, cadence, lane, source, led_by: None, leads: None });
        }
    }
    Ok(())
}

pub(super) fn watches(settings: &Settings, desk: &Arc<Desk>, catalog: &mut Catalog) -> Result<(), AssemblyError> {
    let Some(entreprise) = &settings.entreprise else { return Ok(()) };
    let platform = Arc::new(platform("entreprise", &entreprise.base_url, settings)?);
    let gap = if platform.loopback { LOOPBACK_GAP } else { GAP };
    let calendar = Calendar::new(&[], Duration::ZERO, Duration::ZERO)?;
    let cadence = Arc::new(Cadence::new(gap.unsigned_abs(), Duration::ZERO, calendar, true));
    for settings in &entreprise.watches {
        let account = entreprise.accounts.iter().find(|account| account.name == settings.account);
        let feed = name("entreprise", &settings.account, &settings.name);
        // An account at fault has said so; its watches wait for it.
        let (Some(account), Some(name)) = (account, feed) else { continue };
        let watch = Watch::new(settings.clone(), account.clone(), gap, Arc::clone(desk));
        let source = Source::Watch(Arc::clone(&platform), Arc::new(watch));
        let lane = Arc::new(Lane::new(watch::CONCURRENCY, LARGEST));
        catalog.insert(
            name.clone(),
            Feed { name, cadence: Arc::clone(&cadence), lane, source, led_by: None, leads: None },
        );
    }
    Ok(())
}

/// The way to API Entreprise for what costs no quota.
///
/// # Errors
/// When this machine cannot fulfil the settings.
pub fn door(settings: &Settings) -> Result<Api, AssemblyError> {
    let address = settings.entreprise.as_ref().map_or("", |it| it.base_url.as_str());
    let platform = platform("entreprise", address, settings)?;
    source::api(&platform, Group::Json, TIMEOUT, None)
        .map_err(|what| AssemblyError::Client { address: address.to_owned(), what })
}

/// What shows that the network works, where API Entreprise gives no answer; none where that is on this machine.
pub(super) fn witnesses(settings: &Settings, entreprise: &Entreprise) -> Option<Witnesses> {
    if Address::parse(&entreprise.base_url).is_ok_and(|address| address.loopback) {
        return None;
    }
    let fast = settings.fast.iter().filter(|it| !it.accounts.is_empty()).map(|it| it.base_url.as_str());
    let douane = settings.douane.iter().filter(|it| !it.accounts.is_empty()).map(|it| it.token_url.as_str());
    let piste = settings.piste.iter().filter(|it| !it.accounts.is_empty()).map(|it| it.token_url.as_str());
    // Behind a proxy no other host may be reached but it.
    let proxy = settings.http.proxy.iter().map(String::as_str);
    let host = |address: &str| {
        let url = reqwest::Url::parse(address).ok()?;
        Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?))
    };
    let own = host(&entreprise.base_url).filter(|_| settings.http.proxy.is_none());
    Some(Witnesses { own, others: fast.chain(douane).chain(piste).chain(proxy).filter_map(host).collect() })
}

/// Accounts, resources and watches that cannot work for a fault in their own table, with that fault.
pub(super) fn unusable(settings: &Settings) -> Vec<(String, String)> {
    let feeds = |platform: &'static str, unusable: &[UnusableFeed]| -> Vec<(String, String)> {
        unusable.iter().map(|it| (format!("{platform}/{}", it.name), it.problem.clone())).collect()
    };
    let mut problems = Vec::new();
    problems.extend(settings.douane.iter().flat_map(|it| feeds("douane", &it.unusable_resources)));
    problems.extend(settings.piste.iter().flat_map(|it| feeds("piste", &it.unusable_resources)));
    if let Some(entreprise) = &settings.entreprise {
        let accounts = &entreprise.unusable;
        problems.extend(accounts.iter().map(|it| (format!("entreprise/{}", it.name), it.problem.clone())));
        problems.extend(feeds("entreprise", &entreprise.unusable_watches));
    }
    problems
}

/// Reads the tokens of API Entreprise's accounts: records when each ends, and answers why an account could not work.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn judge_tokens(
    settings: &Settings,
    ledger: &Ledger,
) -> Result<Vec<(String, Option<String>)>, LedgerError> {
    let mut judged = Vec::new();
    for account in settings.entreprise.iter().flat_map(|it| &it.accounts) {
        let name = format!("entreprise/{}", account.name);
        match read_token(&account.token).await {
            Ok(token) => {
                let expires = Jwt::read(&token).and_then(|jwt| jwt.expires_at);
                ledger.record_expiry(&name, expires).await?;
                judged.push((name, None));
            }
            Err(problem) => judged.push((name, Some(problem))),
        }
    }
    Ok(judged)
}

/// Brings the subjects of all watches in line with the configuration, and plans each watch for its next; with `forgive`
/// those that were refused as well.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn enrol(house: &House, catalog: &Catalog, forgive: bool) -> Result<(), LedgerError> {
    let mut plans = Vec::new();
    for feed in catalog.values() {
        let Source::Watch(_, watch) = &feed.source else { continue };
        let (ledger, now) = (&house.ledger, house.clock.now());
        let known = ledger.subjects(&feed.name).await?;
        ledger.enrol(&feed.name, watch.rota.enrol(&watch.settings.members, &known, now)).await?;
        let next = ledger.next_subject(&feed.name).await?.unwrap_or(now);
        plans.push((feed.name.clone(), watch.rota.hours.opens_at(next.max(now))));
    }
    house.ledger.plan_watches(plans, forgive).await
}

/// The desk at which API Entreprise is asked, where an account of it is configured.
///
/// # Errors
/// When the ledger fails.
pub(super) async fn desk(
    settings: &Settings,
    ledger: &Ledger,
    clock: &Arc<dyn Clock>,
    stopping: &Receiver<bool>,
) -> Result<Option<Arc<Desk>>, LedgerError> {
    let Some(entreprise) = settings.entreprise.as_ref().filter(|it| !it.accounts.is_empty()) else { return Ok(None) };
    let Ok(address) = Address::parse(&entreprise.base_url) else { return Ok(None) };
    let witnesses = witnesses(settings, entreprise);
    let (ledger, clock, share) = (ledger.clone(), Arc::clone(clock), entreprise.share);
    let desk = Desk::open(ledger, clock, &address.origin, share, witnesses, stopping.clone()).await?;
    Ok(Some(Arc::new(desk)))
}
