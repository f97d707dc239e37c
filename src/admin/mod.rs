//! Metrics, health and a page for people, over HTTP: off unless `[admin] listen` says where.
//!
//! `/` is a page that works without scripts and loads nothing from elsewhere; `/metrics` is for Prometheus, `/status` what
//! `status --json` prints, `/livez` and `/readyz` for supervisors. Everything can be read and nothing changed, by whoever
//! reaches the address: nobody is asked who they are. There are no secrets in it.
//!
//! One answer per connection, few connections at a time, and limits on size and time, so that nobody who reaches it can keep
//! the daemon from its work. Where the address cannot be had, the daemon goes on and tries again every minute.

mod answer;
mod life;
mod metrics;
mod page;
mod plot;
mod process;
mod sheet;
mod tally;
mod words;

use std::convert::Infallible;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::config::Listen;
use crate::ledger::Ledger;
use crate::log::event;
use crate::socket;
use crate::status::Overview;
use answer::Way;
pub use life::Life;
use plot::Plot;
pub use tally::Tally;

/// Guests served at a time; others wait.
const AT_A_TIME: usize = 32;
/// The longest head of a request that is read, in bytes (the least that hyper takes).
const HEAD: usize = 8 * 1024;
/// For a request to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// For a request to arrive and its answer to be taken: with thirty thousand feeds that is long.
const WHOLE: Duration = Duration::from_secs(60);
/// After an accept that failed (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(200);
/// An address that could not be had is tried again after this.
const AGAIN: Duration = Duration::from_secs(60);

type Complain = dyn Fn(Option<String>) + Send + Sync;
type Sight = dyn Fn() -> Option<watch::Receiver<Option<Arc<Overview>>>> + Send + Sync;

/// What is told, and by whom it is known.
pub struct Sources {
    /// Begins to watch how everything goes; that is gathered for nobody else.
    sight: Box<Sight>,
    /// Told why the address is not to be had, or that it is.
    complain: Box<Complain>,
    life: Arc<Life>,
    tally: Arc<Tally>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    plot: Plot,
    /// This machine's name.
    host: String,
}

impl Sources {
    /// All there is to tell.
    pub fn new(
        sight: impl Fn() -> Option<watch::Receiver<Option<Arc<Overview>>>> + Send + Sync + 'static,
        complain: impl Fn(Option<String>) + Send + Sync + 'static,
        life: Arc<Life>,
        tally: Arc<Tally>,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
        Self {
            sight: Box::new(sight),
            complain: Box::new(complain),
            life,
            tally,
            ledger,
            clock,
            plot: Plot::default(),
            host,
        }
    }
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("life", &self.life).finish_non_exhaustive()
    }
}

/// What guests are told while the listener is open.
struct Desk {
    sources: Arc<Sources>,
    /// How everything goes; none until that was first gathered.
    overview: Option<watch::Receiver<Option<Arc<Overview>>>>,
}

impl Desk {
    fn overview(&self) -> Option<Arc<Overview>> {
        self.overview.as_ref()?.borrow().clone()
    }
}

/// The listener: opened, exchanged and closed as the configuration says.
#[derive(Debug)]
pub struct Admin {
    wanted: watch::Sender<Option<Listen>>,
    work: JoinHandle<()>,
}

impl Admin {
    /// A listener at `listen`, or for now nowhere.
    #[must_use]
    pub fn start(sources: Sources, listen: Option<Listen>) -> Self {
        let (wanted, wants) = watch::channel(listen);
        Self { wanted, work: tokio::spawn(keep_open(Arc::new(sources), wants)) }
    }

    /// Listens at `listen` from now on, or nowhere. Where that could not be had, it is tried again at once.
    pub fn serve(&self, listen: Option<Listen>) {
        self.wanted.send_replace(listen);
    }

    /// Answers nobody any more; a socket is removed.
    pub async fn close(self) {
        self.work.abort();
        // Aborting it is how it ends.
        let _ = self.work.await;
    }
}

/// Listens where that is wanted, for as long as it is.
async fn keep_open(sources: Arc<Sources>, mut wants: watch::Receiver<Option<Listen>>) {
    let mut told = None;
    loop {
        let wanted = wants.borrow_and_update().clone();
        let Some(listen) = wanted else {
            told = None;
            (sources.complain)(None);
            if wants.changed().await.is_err() {
                return;
            }
            continue;
        };
        match Listener::open(&listen).await {
            Ok(listener) => {
                told = None;
                (sources.complain)(None);
                let at = listener.at(&listen);
                tracing::info!(
                    event = event::ADMIN_OPENED,
                    listen = at,
                    "metrics, health and a page for people are at {at}"
                );
                let desk = Arc::new(Desk { overview: (sources.sight)(), sources: Arc::clone(&sources) });
                let accepting = listener.accept(&desk);
                tokio::pin!(accepting);
                // The same place, wanted again, is left as it is.
                loop {
                    tokio::select! {
                        () = &mut accepting => {}
                        changed = wants.changed() => match changed {
                            Ok(()) if wants.borrow().as_ref() == Some(&listen) => {}
                            Ok(()) => break,
                            Err(_) => return,
                        }
                    }
                }
            }
            Err(error) => {
                let fault = format!(
                    "metrics, health and the page are not to be had at {listen}: {error}; end what else is there, or correct \
                     [admin] listen, and reload"
                );
                // Told once, however often it is tried.
                if told.replace(fault.clone()).as_ref() != Some(&fault) {
                    (sources.complain)(Some(fault.clone()));
                    tracing::error!(event = event::ADMIN_FAILED, listen = %listen, %error, "{fault}; it is tried again every minute");
                }
                tokio::select! {
                    () = sleep(AGAIN) => {}
                    changed = wants.changed() => if changed.is_err() { return },
                }
            }
        }
    }
}

/// An open listener; a socket is removed with it.
enum Listener {
    Port(TcpListener),
    Socket(UnixListener, #[expect(dead_code, reason = "it is there to be dropped")] Place),
}

/// A socket's path.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, "{} could not be removed", self.0.display());
        }
    }
}

impl Listener {
    async fn open(listen: &Listen) -> io::Result<Self> {
        match listen {
            Listen::Port(address) => TcpListener::bind(address).await.map(Self::Port),
            Listen::Socket(path) => socket::bind(path).await.map(|bound| Self::Socket(bound, Place(path.clone()))),
        }
    }

    /// Where it is in fact: a port that was left to the system has a number.
    fn at(&self, listen: &Listen) -> String {
        match self {
            Self::Port(listener) => listener.local_addr().map_or_else(|_| listen.to_string(), |it| it.to_string()),
            Self::Socket(..) => listen.to_string(),
        }
    }

    /// Attends to guests, for ever.
    async fn accept(&self, desk: &Arc<Desk>) {
        let mut guests = JoinSet::new();
        loop {
            while guests.len() >= AT_A_TIME {
                guests.join_next().await;
            }
            let desk = Arc::clone(desk);
            let accepted = match self {
                Self::Port(listener) => listener.accept().await.map(|(stream, _)| {
                    guests.spawn(attend(stream, Way::Port, desk));
                }),
                Self::Socket(listener, _) => listener.accept().await.map(|(stream, _)| {
                    guests.spawn(attend(stream, Way::Socket, desk));
                }),
            };
            if let Err(error) = accepted {
                tracing::debug!(%error, "a guest of [admin] listen could not be attended to");
                sleep(PAUSE).await;
            }
            while guests.try_join_next().is_some() {}
        }
    }
}

/// One request and its answer.
async fn attend(stream: impl AsyncRead + AsyncWrite + Unpin, way: Way, desk: Arc<Desk>) {
    let service = service_fn(|request| {
        let desk = &desk;
        async move { Ok::<_, Infallible>(answer::answer(request, way, desk).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(HEAD).keep_alive(false);
    // A guest that goes away, or takes too long, has lost interest.
    let _ = timeout(WHOLE, http.serve_connection(TokioIo::new(stream), service)).await;
}
