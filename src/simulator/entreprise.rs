//! API Entreprise on loopback: clock-aligned minutes, refusals, locks, a ban that is silence, documents by address.
//!
//! Every resource is served to every valid SIREN. What an answer says in `data` changes by [`Entreprise::rename`] alone,
//! `meta` with each answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::http::{Reply, Request, Server};
use crate::clock::{Clock, SystemClock};

/// A call, as the platform counts it.
#[derive(Clone, Debug)]
pub struct EntrepriseCall {
    /// When it was counted, on the platform's clock.
    pub at: Timestamp,
    /// Its path.
    pub path: String,
    /// Path and query.
    pub target: String,
    /// Its token.
    pub token: Option<String>,
    /// The quota it was counted in; none for what is free.
    pub bucket: Option<String>,
    /// The status answered; 0 where nothing was.
    pub status: u16,
}

/// How the platform behaves.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// Calls a minute and token for data, documents and tax attestations.
    pub limits: (u32, u32, u32),
    /// The platform's clock less this machine's.
    pub skew: SignedDuration,
    /// Before an answer.
    pub latency: Duration,
    /// Whether answers tell of quotas.
    pub headers: bool,
    /// Whether `/privileges` answers in its newer form.
    pub newer_privileges: bool,
    /// The rights of the token.
    pub privileges: Vec<String>,
    /// So many refusals ignored in a minute make a ban.
    pub ban_after: usize,
}

/// A running platform, which ends with this handle.
#[derive(Debug)]
pub struct Entreprise {
    server: Server,
    desk: Arc<Desk>,
}

#[derive(Debug)]
struct Desk {
    inner: Mutex<Inner>,
    clock: SystemClock,
    lifted: Notify,
}

#[derive(Debug)]
struct Inner {
    conduct: Conduct,
    tokens: HashSet<String>,
    names: HashMap<String, String>,
    /// Paths that start so are answered with this, the next time.
    scripts: VecDeque<(String, Reply)>,
    running: HashSet<String>,
    calls: Vec<EntrepriseCall>,
    pings: Vec<Timestamp>,
    banned: bool,
    /// Requests for documents that brought a token: there must be none.
    indiscreet: usize,
    documents: usize,
    counter: u64,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        let skew = self.lock().conduct.skew;
        self.clock.now().saturating_add(skew).unwrap_or(Timestamp::MAX)
    }
}

impl Entreprise {
    /// Starts a platform that knows `token`, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn start(token: &str) -> io::Result<Self> {
        let conduct = Conduct {
            limits: (250, 50, 5),
            skew: SignedDuration::ZERO,
            latency: Duration::ZERO,
            headers: true,
            newer_privileges: true,
            privileges: vec!["unites_legales_etablissements_insee".to_owned(), "attestation_sociale_urssaf".to_owned()],
            ban_after: 20,
        };
        let inner = Inner {
            conduct,
            tokens: HashSet::from([token.to_owned()]),
            names: HashMap::new(),
            scripts: VecDeque::new(),
            running: HashSet::new(),
            calls: Vec::new(),
            pings: Vec::new(),
            banned: false,
            indiscreet: 0,
            documents: 0,
            counter: 0,
        };
        let desk = Arc::new(Desk { inner: Mutex::new(inner), clock: SystemClock::new(), lifted: Notify::new() });
        let server = Server::start({
            let desk = Arc::clone(&desk);
            move |request| {
                let desk = Arc::clone(&desk);
                async move { answer(&desk, request).await }
            }
        });
        Ok(Self { server: server.await?, desk })
    }

    /// `base_url`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// Changes how the platform behaves from now on.
    pub fn adjust(&self, change: impl FnOnce(&mut Conduct)) {
        change(&mut self.desk.lock().conduct);
    }

    /// What the platform says of `siren` from now on.
    pub fn rename(&self, siren: &str, name: &str) {
        self.desk.lock().names.insert(siren.to_owned(), name.to_owned());
    }

    /// Knows another token, and forgets those before.
    pub fn renew_token(&self, token: &str) {
        self.desk.lock().tokens = HashSet::from([token.to_owned()]);
    }

    /// Answers the next call whose path starts with `path` so.
    pub fn script(&self, path: &str, reply: Reply) {
        self.desk.lock().scripts.push_back((path.to_owned(), reply));
    }

    /// Answers nothing any more.
    pub fn ban(&self) {
        self.desk.lock().banned = true;
    }

    /// Answers again.
    pub fn lift(&self) {
        self.desk.lock().banned = false;
        self.desk.lifted.notify_waiters();
    }

    /// All calls so far, free ones not among them.
    #[must_use]
    pub fn calls(&self) -> Vec<EntrepriseCall> {
        self.desk.lock().calls.clone()
    }

    /// When `/ping` was asked.
    #[must_use]
    pub fn pings(&self) -> Vec<Timestamp> {
        self.desk.lock().pings.clone()
    }

    /// Documents fetched, and how many of these requests brought a token.
    #[must_use]
    pub fn documents(&self) -> (usize, usize) {
        let inner = self.desk.lock();
        (inner.documents, inner.indiscreet)
    }

    /// The most calls that were counted in a minute of the platform's clock, over all quotas of a token.
    #[must_use]
    pub fn most_in_a_minute(&self) -> usize {
        let mut minutes: HashMap<(i64, String), usize> = HashMap::new();
        for call in &self.desk.lock().calls {
            if let Some(bucket) = &call.bucket {
                *minutes.entry((call.at.as_second().div_euclid(60), bucket.clone())).or_default() += 1;
            }
        }
        minutes.into_values().max().unwrap_or(0)
    }
}

async fn answer(desk: &Desk, request: Request) -> Option<Reply> {
    let path = request.path();
    silence(desk, &path).await;
    let now = desk.now();
    if let Some(provider) = path.strip_prefix("/ping/") {
        desk.lock().pings.push(now);
        let status = if provider.is_empty() { "unknown" } else { "ok" };
        return Some(Reply::json(200, &json!({ "status": status })));
    }
    if path.starts_with("/documents/") {
        let mut inner = desk.lock();
        inner.documents += 1;
        inner.indiscreet += usize::from(request.header("authorization").is_some());
        let name = path.trim_start_matches("/documents/").to_owned();
        let text = inner.names.get(&name).cloned().unwrap_or(name);
        return Some(Reply::new(200, "application/pdf", format!("%PDF-1.4\n% {text}\n%%EOF\n")));
    }
    if path == "/privileges" {
        return Some(privileges(desk, &request));
    }
    let latency = desk.lock().conduct.latency;
    let (reply, key) = admit(desk, &request, &path, now);
    sleep(latency).await;
    if let Some(key) = key {
        desk.lock().running.remove(&key);
    }
    Some(reply)
}

/// While there is a ban nothing is answered, and the connection stays open.
async fn silence(desk: &Desk, path: &str) {
    loop {
        let lifted = desk.lifted.notified();
        tokio::pin!(lifted);
        lifted.as_mut().enable();
        if !desk.lock().banned {
            return;
        }
        if path.starts_with("/ping/") {
            let now = desk.now();
            desk.lock().pings.push(now);
        }
        lifted.await;
    }
}

/// Counts a call, and answers it; the key of its lock, where it took one.
fn admit(desk: &Desk, request: &Request, path: &str, now: Timestamp) -> (Reply, Option<String>) {
    let mut inner = desk.lock();
    let token = request.bearer().map(str::to_owned);
    let (name, limit) = bucket(path, inner.conduct.limits);
    let bucket = format!("{}/{name}", token.as_deref().unwrap_or("nobody"));
    let minute = now.as_second().div_euclid(60);
    let counted = |call: &&EntrepriseCall| {
        call.at.as_second().div_euclid(60) == minute && call.bucket.as_deref() == Some(bucket.as_str())
    };
    let used = inner.calls.iter().filter(counted).count() + 1;
    let refusals = inner.calls.iter().filter(counted).filter(|call| call.status == 429).count();
    let key = format!("{} {}", token.as_deref().unwrap_or_default(), request.target);
    let scripted = inner.scripts.iter().position(|(start, _)| path.starts_with(start.as_str()));
    let (reply, key) = if used > usize::try_from(limit).unwrap_or(usize::MAX) {
        inner.banned |= refusals + 1 >= inner.conduct.ban_after;
        let wait = (minute + 1) * 60 - now.as_second();
        (error(429, "00429", "Trop de requêtes").with(format!("Retry-After: {wait}")), None)
    } else if let Some((_, reply)) = scripted.and_then(|at| inner.scripts.remove(at)) {
        (reply, None)
    } else if !inner.running.insert(key.clone()) {
        (error(409, "00015", "Requête déjà en cours"), None)
    } else {
        (usual(&mut inner, request, path), Some(key))
    };
    let at = now;
    let status = reply.status;
    let (path, target) = (path.to_owned(), request.target.clone());
    inner.calls.push(EntrepriseCall { at, path, target, token, bucket: Some(bucket), status });
    let reply = reply
        .with(format!("X-Request-Id: request-{}", inner.calls.len()))
        .with(format!("Date: {}", now.strftime("%a, %d %b %Y %H:%M:%S GMT")));
    if !inner.conduct.headers {
        return (reply, key);
    }
    let left = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(used);
    let reply = reply
        .with(format!("RateLimit-Limit: {limit}"))
        .with(format!("RateLimit-Remaining: {left}"))
        .with(format!("RateLimit-Reset: {}", (minute + 1) * 60));
    (reply, key)
}

fn bucket(path: &str, (json, documents, fiscal): (u32, u32, u32)) -> (&'static str, u32) {
    if path.ends_with("/attestation_fiscale") {
        ("attestation_fiscale", fiscal)
    } else if path.ends_with("/attestation_vigilance") {
        ("documents", documents)
    } else {
        ("json", json)
    }
}

fn usual(inner: &mut Inner, request: &Request, path: &str) -> Reply {
    if !request.bearer().is_some_and(|token| inner.tokens.contains(token)) {
        return error(401, "00101", "Votre jeton est invalide");
    }
    if path.starts_with("/v2/") {
        return Reply::new(410, "text/plain", "Gone");
    }
    let missing: Vec<Value> = ["context", "recipient", "object"]
        .into_iter()
        .filter(|name| request.parameter(name).is_none_or(|value| value.is_empty() || value.chars().count() >= 50))
        .map(|name| json!({"code": "00201", "title": "Paramètre", "detail": format!("{name} est obligatoire")}))
        .collect();
    if !missing.is_empty() {
        return Reply::json(422, &json!({ "errors": missing }));
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (siren, document, right) = match parts[..] {
        ["v3", "insee", "sirene", "unites_legales", siren] => (siren, false, "unites_legales_etablissements_insee"),
        ["v4", "urssaf", "unites_legales", siren, "attestation_vigilance"] => {
            (siren, true, "attestation_sociale_urssaf")
        }
        ["v4", "dgfip", "unites_legales", siren, "attestation_fiscale"] => (siren, true, "attestation_fiscale_dgfip"),
        _ => return Reply::new(404, "text/plain", "Not Found"),
    };
    if !inner.conduct.privileges.iter().any(|held| held == right) {
        return error(403, "00100", "Vos droits ne suffisent pas");
    }
    inner.counter += 1;
    let meta = json!({ "answer": inner.counter });
    let name = inner.names.get(siren).cloned().unwrap_or_else(|| format!("ENTREPRISE {siren}"));
    let data = if document {
        let host = request.header("host").unwrap_or_default();
        json!({ "document_url": format!("http://{host}/documents/{siren}"), "expires_in": 7_889_238 })
    } else {
        json!({ "siren": siren, "personne_morale_attributs": { "raison_sociale": name } })
    };
    Reply::json(200, &json!({ "data": data, "links": {}, "meta": meta }))
}

fn privileges(desk: &Desk, request: &Request) -> Reply {
    let inner = desk.lock();
    if !request.bearer().is_some_and(|token| inner.tokens.contains(token)) {
        return error(401, "00101", "Votre jeton est invalide");
    }
    let list = &inner.conduct.privileges;
    let body = if inner.conduct.newer_privileges {
        json!({ "data": { "privileges": list } })
    } else {
        json!({ "privileges": list })
    };
    Reply::json(200, &body)
}

/// The API's error object, with one error.
#[must_use]
pub fn error(status: u16, code: &str, title: &str) -> Reply {
    Reply::json(status, &json!({ "errors": [{ "code": code, "title": title, "detail": title, "meta": {} }] }))
}
