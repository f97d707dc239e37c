//! What the platform holds, and what it answers before any fault.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::answer::Answer;
use super::behaviour::Behaviour;
use super::entry::Entry;
use super::fault::{Armed, Fault, Times};
use super::record::Record;
use super::route::{Call, Interface, Route};
use super::soap::{self, Order};
use super::tls::Visitor;
use super::webdav::{self, File, Place, Tree};
use super::zip;
use crate::clock::Clock;
use crate::feed::Kind;

#[derive(Debug)]
struct Document {
    siren: String,
    bytes: Bytes,
    collected: bool,
}

/// All that connections and the handle of the platform share.
#[derive(Debug)]
pub(super) struct Shop {
    inner: Mutex<Inner>,
    /// Told at every change of the records.
    pub(super) changed: Notify,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) behaviour: Behaviour,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) faults: Vec<Armed>,
    pub(super) records: Vec<Record>,
    pub(super) connections: u64,
    pub(super) refusals: Vec<String>,
    /// Accounts, with the certificates allowed to each (none named: all).
    accounts: HashMap<String, HashSet<String>>,
    documents: HashMap<(Kind, String), Document>,
    /// Ids in the order they came.
    shelves: HashMap<(String, Kind), Vec<String>>,
    scripted: HashMap<(String, Kind), Bytes>,
    /// The circuits of signed documents.
    circuits: HashMap<String, String>,
    /// The shared folders, by SIREN.
    trees: HashMap<String, Tree>,
    /// Files ever put there.
    versions: u64,
}

/// A request as it was read.
#[derive(Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
}

impl Request {
    /// The header `name`, in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// An answer ready to be written, and the entry to keep of it.
pub(super) struct Service {
    pub(super) answer: Answer,
    pub(super) entry: Entry,
    pub(super) latency: Duration,
    pub(super) now: Timestamp,
}

impl Shop {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let inner = Inner {
            behaviour: Behaviour::default(),
            clock,
            faults: Vec::new(),
            records: Vec::new(),
            connections: 0,
            refusals: Vec::new(),
            accounts: HashMap::new(),
            documents: HashMap::new(),
            shelves: HashMap::new(),
            scripted: HashMap::new(),
            circuits: HashMap::new(),
            trees: HashMap::new(),
            versions: 0,
        };
        Self { inner: Mutex::new(inner), changed: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request and decides its answer.
    pub(super) fn receive(self: &Arc<Self>, request: Request, visitor: &Visitor, connection: u64) -> Service {
        let mut inner = self.lock();
        let now = inner.clock.now();
        let route = Route::parse(&request);
        let (mut answer, mut document) = inner.respond(&request, route.as_ref(), visitor, now);
        let siren = route.as_ref().and_then(|route| inner.siren_of(route));
        let mut honest = true;
        if let Some(fault) = route.as_ref().and_then(|route| inner.fault_for(route, siren.as_deref())) {
            let (spoilt, still) = answer.spoilt(&fault, now);
            document = document.filter(|_| still);
            (answer, honest) = (spoilt, still);
        }
        // What was removed is gone even where the answer breaks off.
        if honest
            && answer.status == Some(204)
            && let Some(Interface::Webdav(place)) = route.as_ref().map(|it| &it.interface)
        {
            let vanishing = inner.behaviour.vanishing_labels;
            inner.tree(&place.siren).remove(&place.path, vanishing);
        }
        let webdav = route.as_ref().is_some_and(|route| matches!(route.interface, Interface::Webdav(_)));
        let index = inner.records.len();
        inner.records.push(Record {
            at: now,
            started_at: Instant::now(),
            finished_at: None,
            method: request.method,
            path: request.path,
            call: route.as_ref().map(|route| route.call),
            siren,
            kind: route.as_ref().map(|route| route.kind),
            id: route.filter(|route| route.call != Call::List || webdav).map(|route| route.subject),
            headers: request.headers,
            body: request.body,
            status: answer.status,
            client_subject: match visitor {
                Visitor::Known(name) => Some(Arc::clone(name)),
                Visitor::Nobody | Visitor::Refused => None,
            },
            connection,
            sent: 0,
            completed: false,
        });
        if inner.behaviour.consume_on_start
            && let Some(key) = document.take()
        {
            inner.mark(&key, true);
        }
        let latency = inner.behaviour.latency;
        drop(inner);
        self.changed.notify_waiters();
        let entry = Entry::of(Arc::clone(self), index, document);
        Service { answer, entry, latency, now }
    }
}

impl Inner {
    pub(super) fn open(&mut self, siren: &str) -> &mut HashSet<String> {
        self.accounts.entry(siren.to_owned()).or_default()
    }

    pub(super) fn put(&mut self, siren: &str, kind: Kind, id: String, bytes: Bytes) {
        self.open(siren);
        let document = Document { siren: siren.to_owned(), bytes, collected: false };
        if self.documents.insert((kind, id.clone()), document).is_none() {
            self.shelves.entry((siren.to_owned(), kind)).or_default().push(id);
        }
    }

    pub(super) fn remove(&mut self, kind: Kind, id: &str) {
        if let Some(document) = self.documents.remove(&(kind, id.to_owned()))
            && let Some(shelf) = self.shelves.get_mut(&(document.siren, kind))
        {
            shelf.retain(|other| other != id);
        }
    }

    pub(super) fn put_signed(&mut self, siren: &str, circuit: &str, id: String, bytes: Bytes) {
        self.circuits.insert(id.clone(), circuit.to_owned());
        self.put(siren, Kind::Signes, id, bytes);
    }

    pub(super) fn tree(&mut self, siren: &str) -> &mut Tree {
        self.trees.entry(siren.to_owned()).or_default()
    }

    pub(super) fn put_file(&mut self, siren: &str, path: &str, bytes: Bytes, told: Option<usize>) {
        self.open(siren);
        self.versions += 1;
        let file = File { bytes, version: self.versions, modified: self.clock.now(), told };
        self.tree(siren).put(webdav::names(path), file);
    }

    /// Ids of the documents of a feed, in the order they came; without those collected, unless `all`.
    pub(super) fn ids(&self, siren: &str, kind: Kind, all: bool) -> Vec<String> {
        let shelf = self.shelves.get(&(siren.to_owned(), kind)).map(Vec::as_slice).unwrap_or_default();
        let waits = |id: &&String| {
            all || self.documents.get(&(kind, (*id).clone())).is_some_and(|document| !document.collected)
        };
        shelf.iter().filter(waits).cloned().collect()
    }

    pub(super) fn script(&mut self, siren: &str, kind: Kind, body: Option<Bytes>) {
        self.open(siren);
        match body {
            Some(body) => self.scripted.insert((siren.to_owned(), kind), body),
            None => self.scripted.remove(&(siren.to_owned(), kind)),
        };
    }

    /// Sets whether a document was collected; tells what it was before.
    pub(super) fn mark(&mut self, key: &(Kind, String), collected: bool) -> bool {
        self.documents.get_mut(key).is_some_and(|document| std::mem::replace(&mut document.collected, collected))
    }

    fn siren_of(&self, route: &Route) -> Option<String> {
        if let Interface::Webdav(place) = &route.interface {
            return Some(place.siren.clone());
        }
        match route.call {
            Call::List => Some(route.subject.clone()),
            _ => self.documents.get(&(route.kind, route.subject.clone())).map(|document| document.siren.clone()),
        }
    }

    fn fault_for(&mut self, route: &Route, siren: Option<&str>) -> Option<Fault> {
        let webdav = matches!(route.interface, Interface::Webdav(_));
        let id = (route.call != Call::List || webdav).then_some(route.subject.as_str());
        let armed = self.faults.iter_mut().find(|armed| armed.matcher.hits(route.call, route.kind, siren, id))?;
        armed.strike();
        let fault = armed.fault.clone();
        self.faults.retain(|armed| armed.times != Times::N(0));
        Some(fault)
    }

    /// The honest answer; with the document it carries, if any.
    fn respond(
        &self,
        request: &Request,
        route: Option<&Route>,
        visitor: &Visitor,
        now: Timestamp,
    ) -> (Answer, Option<(Kind, String)>) {
        let answer = match (visitor, route) {
            (Visitor::Nobody, _) => Answer::web_server(400, "No required SSL certificate was sent", "Bad Request"),
            (Visitor::Refused, _) => Answer::web_server(400, "The SSL certificate error", "Bad Request"),
            (_, None) => Answer::web_server(404, "Not Found", "Not Found"),
            (Visitor::Known(name), Some(route)) => match &route.interface {
                Interface::Rest if request.method != "GET" => Answer::web_server(405, "Not Allowed", "Not Allowed"),
                Interface::Rest if route.call == Call::List => self.list(route, name, now),
                Interface::Rest => return self.download(route, name, now),
                Interface::Soap(Err(text)) => soap::fault(self.behaviour.fault_status, text, self.behaviour.mtom),
                Interface::Soap(Ok(order)) => return self.serve(order, name),
                Interface::Webdav(place) => self.share(place, request, name),
            },
        };
        (answer, None)
    }

    /// SOAP: the guide's words for each refusal (§2.5).
    fn serve(&self, order: &Order, client: &str) -> (Answer, Option<(Kind, String)>) {
        let fault = |text: &str| (soap::fault(self.behaviour.fault_status, text, self.behaviour.mtom), None);
        let refused =
            "Erreur: l'abonné est inconnu ou l'utilisateur n'a pas les permissions pour y réaliser l'action demandée";
        if order.call == Call::List {
            let siren = order.subject.as_str();
            if !self.admits(siren, client) {
                return fault(refused);
            }
            let mut ids = self.ids(siren, order.kind, self.behaviour.keep_listing);
            ids.retain(|id| order.circuit.is_none() || self.circuits.get(id) == order.circuit.as_ref());
            return (soap::listed(order, &ids).framed(self.behaviour.framing), None);
        }
        let key = (order.kind, order.subject.clone());
        let Some(document) = self.documents.get(&key) else { return fault("Le nœud n'existe pas") };
        if !self.admits(&document.siren, client) {
            return fault("Erreur lors de l'authentification, accès refusé");
        }
        if order.call == Call::Again {
            let zip = zip::stored(&[("pes.xml", b"<PES_Aller/>"), ("acquit.xml", &document.bytes)]);
            return (soap::carried(order, &zip, self.behaviour.mtom).framed(self.behaviour.framing), None);
        }
        if document.collected && self.behaviour.forget_collected.is_some() {
            return fault("Le nœud n'existe pas");
        }
        let answer = soap::carried(order, &document.bytes, self.behaviour.mtom).framed(self.behaviour.framing);
        (answer, Some(key))
    }

    /// WebDAV.
    fn share(&self, place: &Place, request: &Request, client: &str) -> Answer {
        if !self.accounts.contains_key(&place.siren) {
            return Answer::web_server(404, "Not Found", "Not Found");
        }
        if !self.admits(&place.siren, client) {
            return Answer::web_server(403, "Forbidden", "Forbidden");
        }
        let tree = self.trees.get(&place.siren).cloned().unwrap_or_default();
        let answer = webdav::respond(&tree, place, request, self.behaviour.dialect);
        match request.method.as_str() {
            "HEAD" => answer.headers_only(),
            "DELETE" => answer,
            _ => answer.framed(self.behaviour.framing),
        }
    }

    fn list(&self, route: &Route, client: &str, now: Timestamp) -> Answer {
        let siren = route.subject.as_str();
        if !self.accounts.contains_key(siren) {
            return Answer::refusal(
                self.behaviour.unknown_status,
                now,
                111,
                "Subscriber not found",
                "Client introuvable",
            );
        }
        if !self.admits(siren, client) {
            return unauthorized(now);
        }
        let body = match self.scripted.get(&(siren.to_owned(), route.kind)) {
            Some(body) => body.clone(),
            None => {
                let ids = self.ids(siren, route.kind, self.behaviour.keep_listing);
                Value::from_iter(ids.into_iter().map(|id| self.written_id(id))).to_string().into()
            }
        };
        Answer::new(200, "application/json;charset=UTF-8", body).framed(self.behaviour.framing)
    }

    fn download(&self, route: &Route, client: &str, now: Timestamp) -> (Answer, Option<(Kind, String)>) {
        let denied =
            |status| Answer::refusal(status, now, 102, "Internal error: Invalid docId", "Le document est introuvable");
        let key = (route.kind, route.subject.clone());
        let Some(document) = self.documents.get(&key) else {
            return (denied(self.behaviour.unknown_status), None);
        };
        if !self.admits(&document.siren, client) {
            return (unauthorized(now), None);
        }
        if route.call == Call::Again {
            let zip = zip::stored(&[("pes.xml", b"<PES_Aller/>"), ("acquit.xml", &document.bytes)]);
            return (Answer::new(200, "application/zip", zip).framed(self.behaviour.framing), None);
        }
        if let (true, Some(status)) = (document.collected, self.behaviour.forget_collected) {
            return (denied(status), None);
        }
        let answer = Answer::new(200, "application/xml", document.bytes.clone())
            .with_headers(&self.behaviour.download_headers)
            .framed(self.behaviour.framing);
        (answer, Some(key))
    }

    fn admits(&self, siren: &str, client: &str) -> bool {
        self.accounts.get(siren).is_some_and(|clients| clients.is_empty() || clients.contains(client))
    }

    fn written_id(&self, id: String) -> Value {
        match id.parse::<u64>() {
            Ok(number) if !self.behaviour.ids_as_strings && number.to_string() == id => number.into(),
            _ => id.into(),
        }
    }
}

fn unauthorized(now: Timestamp) -> Answer {
    Answer::refusal(403, now, 100, "Unauthorized", "Vous n'avez pas les droits sur ce compte")
}
