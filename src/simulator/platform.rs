//! The handle of a running platform.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use super::behaviour::Behaviour;
use super::connection::serve;
use super::fault::{Armed, Fault, Matcher, Times};
use super::record::Record;
use super::route::Call;
use super::shop::Shop;
use super::tls::Doors;
use super::{Error, Keys};
use crate::clock::{Clock, SystemClock};
use crate::feed::Kind;

/// Connections waiting to be accepted.
const BACKLOG: u32 = 1024;

/// A running platform; clones are handles of the same one, which ends with the last of them.
#[derive(Clone, Debug)]
pub struct Platform {
    inner: Arc<Running>,
}

struct Running {
    shop: Arc<Shop>,
    doors: Doors,
    address: SocketAddr,
    /// Bound, never listening: keeps the port ours while nothing accepts, so that clients are refused.
    _reserve: TcpSocket,
    acceptor: Mutex<Option<Acceptor>>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

/// The task that accepts connections, and owns them.
struct Acceptor {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(acceptor) = self.acceptor.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            acceptor.task.abort();
        }
    }
}

impl Platform {
    /// Starts a platform on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When the address cannot be bound, or the certificates are not accepted.
    pub async fn start(keys: &Keys) -> Result<Self, Error> {
        Self::start_on(keys, (Ipv4Addr::LOCALHOST, 0).into()).await
    }

    /// Starts a platform on `address`; its certificate is for `localhost` and 127.0.0.1 all the same.
    ///
    /// # Errors
    /// As [`Platform::start`].
    pub async fn start_on(keys: &Keys, address: SocketAddr) -> Result<Self, Error> {
        let doors = Doors::new(keys)?;
        let reserve = bind(address)?;
        let address = reserve.local_addr()?;
        let shop = Arc::new(Shop::new(Arc::new(SystemClock::new())));
        let running = Running { shop, doors, address, _reserve: reserve, acceptor: Mutex::new(None) };
        let platform = Self { inner: Arc::new(running) };
        platform.resume()?;
        Ok(platform)
    }

    /// Where the platform is: `https://localhost:PORT`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("https://localhost:{}", self.address().port())
    }

    /// The address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.inner.address
    }

    /// Opens an account without documents. A SIREN without account is answered "Subscriber not found".
    pub fn open(&self, siren: &str) {
        self.inner.shop.lock().open(siren);
    }

    /// Opens an account to the certificate with this common name; from then on only to those so named.
    pub fn register(&self, siren: &str, common_name: &str) {
        self.inner.shop.lock().open(siren).insert(common_name.to_owned());
    }

    /// Adds a document that waits to be collected, or replaces it; opens the account.
    pub fn put(&self, siren: &str, kind: Kind, id: impl ToString, bytes: impl Into<Bytes>) {
        self.inner.shop.lock().put(siren, kind, id.to_string(), bytes.into());
    }

    /// Adds a signed document of a circuit, for SOAP.
    pub fn put_signed(&self, siren: &str, circuit: &str, id: impl ToString, bytes: impl Into<Bytes>) {
        self.inner.shop.lock().put_signed(siren, circuit, id.to_string(), bytes.into());
    }

    /// Adds a file to the shared folders, or replaces it, at `path` below `out/`, with the folders it lies in.
    pub fn put_file(&self, siren: &str, path: &str, bytes: impl Into<Bytes>) {
        self.inner.shop.lock().put_file(siren, path, bytes.into(), None);
    }

    /// The same of a file that is still being written: listings tell another length.
    pub fn put_unfinished(&self, siren: &str, path: &str, bytes: impl Into<Bytes>, told: usize) {
        self.inner.shop.lock().put_file(siren, path, bytes.into(), Some(told));
    }

    /// Makes a folder below `out/`.
    pub fn make_folder(&self, siren: &str, path: &str) {
        let mut inner = self.inner.shop.lock();
        inner.open(siren);
        inner.tree(siren).folders.insert(super::webdav::names(path));
    }

    /// Removes a file from the shared folders, as someone else would.
    pub fn remove_file(&self, siren: &str, path: &str) {
        self.inner.shop.lock().tree(siren).remove(&super::webdav::names(path), false);
    }

    /// The paths of all files below `out/`.
    #[must_use]
    pub fn files(&self, siren: &str) -> Vec<String> {
        self.inner.shop.lock().tree(siren).files.keys().map(|path| path.join("/")).collect()
    }

    /// Removes a document without a trace, as when someone else has collected it and it is no longer kept.
    pub fn remove(&self, kind: Kind, id: impl ToString) {
        self.inner.shop.lock().remove(kind, &id.to_string());
    }

    /// Ids of the documents that wait to be collected, in the order they came.
    #[must_use]
    pub fn remaining(&self, siren: &str, kind: Kind) -> Vec<String> {
        self.inner.shop.lock().ids(siren, kind, false)
    }

    /// Listings of this feed are answered by exactly these bytes, with status 200.
    pub fn listing_body(&self, siren: &str, kind: Kind, body: impl Into<Bytes>) {
        self.inner.shop.lock().script(siren, kind, Some(body.into()));
    }

    /// Listings of this feed tell the truth again.
    pub fn clear_listing_body(&self, siren: &str, kind: Kind) {
        self.inner.shop.lock().script(siren, kind, None);
    }

    /// Lets `fault` strike requests that match; of several faults the one set first strikes first.
    pub fn set_fault(&self, matcher: Matcher, fault: Fault, times: Times) {
        if times != Times::N(0) {
            self.inner.shop.lock().faults.push(Armed { matcher, fault, times });
        }
    }

    /// Forgets all faults that have not struck yet.
    pub fn clear_faults(&self) {
        self.inner.shop.lock().faults.clear();
    }

    /// Changes how the platform behaves from now on: `platform.adjust(|it| it.keep_listing = true)`.
    pub fn adjust(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.inner.shop.lock().behaviour);
    }

    /// Reads wall time from `clock`, for records, `Date` and errors; certificates are still judged by the machine's.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        self.inner.shop.lock().clock = clock;
    }

    /// All requests so far, in the order they arrived.
    #[must_use]
    pub fn requests(&self) -> Vec<Record> {
        self.inner.shop.lock().records.clone()
    }

    /// How many times a document was asked for, whatever the answer.
    #[must_use]
    pub fn downloads_of(&self, id: impl ToString) -> usize {
        let id = id.to_string();
        let inner = self.inner.shop.lock();
        let asked = |record: &&Record| record.call == Some(Call::Download) && record.id.as_ref() == Some(&id);
        inner.records.iter().filter(asked).count()
    }

    /// How many TCP connections were accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.inner.shop.lock().connections
    }

    /// Why handshakes failed, in the order they did.
    #[must_use]
    pub fn refusals(&self) -> Vec<String> {
        self.inner.shop.lock().refusals.clone()
    }

    /// Waits until `test` is satisfied by the records; looks again at each change. Has no time limit.
    pub async fn wait_for(&self, mut test: impl FnMut(&[Record]) -> bool) {
        let shop = &self.inner.shop;
        loop {
            let mut changed = std::pin::pin!(shop.changed.notified());
            changed.as_mut().enable();
            if test(&shop.lock().records) {
                return;
            }
            changed.await;
        }
    }

    /// Pulls the cable: all connections end at once, new ones are refused. Returns when it is so.
    pub async fn stop_accepting(&self) {
        let acceptor = self.inner.acceptor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Acceptor { stop, task }) = acceptor {
            let _ = stop.send(());
            let _ = task.await;
        }
    }

    /// Plugs it in again, on the same port. Does nothing where it was never pulled.
    ///
    /// # Errors
    /// When the port cannot be listened on.
    pub fn resume(&self) -> Result<(), Error> {
        let mut acceptor = self.inner.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if acceptor.is_none() {
            let listener = bind(self.inner.address)?.listen(BACKLOG)?;
            let (stop, stopped) = oneshot::channel();
            let work = accept(listener, self.inner.doors.clone(), Arc::clone(&self.inner.shop), stopped);
            *acceptor = Some(Acceptor { stop, task: tokio::spawn(work) });
        }
        Ok(())
    }

    /// Ends the platform and all its connections; its records can still be read.
    pub async fn stop(&self) {
        self.stop_accepting().await;
    }
}

/// Binds without listening; several such sockets of this process may share an address.
fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

async fn accept(listener: TcpListener, doors: Doors, shop: Arc<Shop>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(serve(stream, doors.clone(), Arc::clone(&shop)));
            },
            () = reap(&mut connections) => {}
        }
    }
    connections.shutdown().await;
}

/// Forgets a connection that has ended; waits for ever while there is none at all.
async fn reap(connections: &mut JoinSet<()>) {
    if connections.join_next().await.is_none() {
        pending::<()>().await;
    }
}
