//! One token per account for everyone: one request at a time, whose outcome all who wait share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::watch;

use super::grant::{self, Denial, Granted};
use super::holding::{self, Obstacle, Token, good, moment};
use super::way::{Way, connect};
use super::{Client, TokenError};
use crate::clock::Clock;
use crate::http::HttpError;
use crate::http::skew::SkewWatch;
use crate::ledger::{Ledger, LedgerError, Moment, TokenRow};
use crate::log::event;

/// Requests in a row that brought nothing make an account one that cannot work.
const FAILING: u32 = 2;

type Outcome = Result<Token, TokenError>;

/// Gives tokens. Holds the state directory with its ledger: no other process asks.
#[derive(Debug)]
pub struct Manager {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    stopping: watch::Receiver<bool>,
    way: RwLock<Way>,
    slots: RwLock<HashMap<String, Arc<Slot>>>,
    clocks: Arc<SkewWatch>,
}

/// An account's place.
#[derive(Debug)]
struct Slot {
    client: RwLock<Arc<Client>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What the ledger says; `None` until it was read.
    row: Option<TokenRow>,
    /// The request under way, and whose it is.
    flight: Option<(String, Flight)>,
}

type Flight = watch::Receiver<Option<Outcome>>;

/// A place on a flight.
struct Boarding {
    flight: Flight,
    /// It began for another client under this account's name, before a reload: it ends first, and brings nothing of use.
    foreign: bool,
}

impl Slot {
    fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a flight, however it ends: the next caller may start another.
struct Landing(Arc<Slot>);

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.lock().flight = None;
    }
}

impl Manager {
    /// A manager without accounts yet; those who wait give up when `stopping` turns true. `clocks` compares the clocks of
    /// those who are asked.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>, clocks: Arc<SkewWatch>, stopping: watch::Receiver<bool>) -> Self {
        let (way, slots) = (RwLock::default(), RwLock::default());
        Self { ledger, clock, stopping, way, slots, clocks }
    }

    /// Serves just these clients from now on. A request under way is finished as it began.
    pub fn serve(&self, clients: Vec<Client>, way: Way) {
        *self.way.write().unwrap_or_else(PoisonError::into_inner) = way;
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *slots);
        for client in clients {
            let name = client.account.clone();
            let slot = before.remove(&name);
            let slot = match slot {
                Some(slot) => {
                    *slot.client.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(client);
                    slot
                }
                None => Arc::new(Slot { client: RwLock::new(Arc::new(client)), state: Mutex::default() }),
            };
            slots.insert(name, slot);
        }
    }

    /// A token of `account`: the one that is held, or a new one where none is, it is about to expire, or it was rejected.
    ///
    /// # Errors
    /// Why there is none. All who wait for one request share what it came to.
    pub async fn token(self: &Arc<Self>, account: &str) -> Outcome {
        let slot = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(account).cloned();
        let slot = slot.ok_or_else(|| TokenError::Unknown(account.to_owned()))?;
        loop {
            let Boarding { mut flight, foreign } = match self.board(&slot) {
                Ok(token) => return Ok(token),
                Err(boarding) => boarding,
            };
            let mut stopping = self.stopping.clone();
            let outcome = tokio::select! {
                outcome = flight.wait_for(Option::is_some) => outcome.ok().and_then(|outcome| outcome.clone()),
                () = stopped(&mut stopping) => return Err(TokenError::Stopping(account.to_owned())),
            };
            if !foreign {
                return outcome.unwrap_or_else(|| Err(self.died(account)));
            }
        }
    }

    fn died(&self, account: &str) -> TokenError {
        TokenError::Failed {
            account: account.to_owned(),
            reason: "the request for a token died: this is a defect".to_owned(),
            remedy: "report it with the log".to_owned(),
            until: self.clock.now(),
        }
    }

    /// Takes note that an API rejected `token` as no longer valid (T2). Another one, obtained meanwhile, stays.
    ///
    /// # Errors
    /// When the ledger fails: the token is not given again by this process all the same.
    pub async fn reject(&self, account: &str, token: &SecretString) -> Result<(), LedgerError> {
        let slot = self.slots.read().unwrap_or_else(PoisonError::into_inner).get(account).cloned();
        let Some(slot) = slot else { return Ok(()) };
        let row = {
            let mut state = slot.lock();
            let Some(row) = &mut state.row else { return Ok(()) };
            let same = |kept: &SecretString| kept.expose_secret() == token.expose_secret();
            if !row.token.as_ref().is_some_and(|kept| same(&kept.access_token)) {
                return Ok(());
            }
            row.token = None;
            row.clone()
        };
        tracing::debug!(account, "the token of {account} was rejected; another is asked for");
        self.ledger.record_token(account, row, None, self.clock.now()).await.map(drop)
    }

    /// Why `client` could not work if it had to ask now, as far as that can be known without asking.
    ///
    /// # Errors
    /// When the ledger fails.
    pub async fn problem(&self, client: &Client) -> Result<Option<String>, LedgerError> {
        let secret = match read_secret(client).await {
            Ok(secret) => secret,
            Err(problem) => return Ok(Some(problem)),
        };
        let seed = self.ledger.seed();
        let row = self.ledger.token(&client.account).await?;
        let mut row = match row {
            Some(row) if row.identity == client.identity(&seed) => row,
            _ => return Ok(None),
        };
        let now = moment(&*self.clock);
        let obstacle = holding::obstacle(&mut row, &client.credentials(&seed, &secret), &now);
        Ok(obstacle.filter(|obstacle| obstacle.refused).map(|obstacle| line(&obstacle.error, &obstacle.remedy)))
    }

    /// The token, if it is good; else a place on the flight that brings one, which this call may have started.
    fn board(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<Token, Boarding> {
        let mut state = slot.lock();
        let client = slot.client();
        let identity = client.identity(&self.ledger.seed());
        let row = state.row.as_ref().filter(|row| row.identity == identity);
        if let Some(token) = row.and_then(|row| good(row, Some(client.margin), &moment(&*self.clock))) {
            return Ok(token);
        }
        if let Some((whose, flight)) = &state.flight {
            return Err(Boarding { flight: flight.clone(), foreign: *whose != identity });
        }
        let (tell, flight) = watch::channel(None);
        state.flight = Some((identity, flight.clone()));
        let (manager, slot) = (Arc::clone(self), Arc::clone(slot));
        // On its own: a caller that gives up takes nothing from the others.
        tokio::spawn(async move {
            let landing = Landing(slot);
            let outcome = manager.fly(&landing.0, &client).await;
            drop(landing);
            tell.send_replace(Some(outcome));
        });
        Err(Boarding { flight, foreign: false })
    }

    /// Sees to it that there is a token: by the ledger, or by asking. A token that is still good outlives a failed renewal.
    async fn fly(&self, slot: &Slot, client: &Client) -> Outcome {
        let row = match self.row(slot, client).await {
            Ok(row) => row,
            Err(error) => return Err(ledger_failed(client, &error)),
        };
        if let Some(token) = good(&row, Some(client.margin), &moment(&*self.clock)) {
            return Ok(token);
        }
        let outcome = self.ask(slot, client, row).await;
        outcome.or_else(|error| {
            let state = slot.lock();
            state.row.as_ref().and_then(|row| good(row, None, &moment(&*self.clock))).ok_or(error)
        })
    }

    /// What is known of this client's token; nothing, where what is known is about another.
    async fn row(&self, slot: &Slot, client: &Client) -> Result<TokenRow, LedgerError> {
        let identity = client.identity(&self.ledger.seed());
        let known = slot.lock().row.clone();
        let known = match known {
            Some(row) => Some(row),
            None => self.ledger.token(&client.account).await?,
        };
        let row = known.filter(|row| row.identity == identity).unwrap_or_else(|| holding::empty(identity));
        slot.lock().row = Some(row.clone());
        Ok(row)
    }

    async fn ask(&self, slot: &Slot, client: &Client, mut row: TokenRow) -> Outcome {
        let secret = match read_secret(client).await {
            Ok(secret) => secret,
            Err(problem) => {
                self.keep(slot, client, row, Some(Some(problem.clone()))).await?;
                return Err(TokenError::Unusable { account: client.account.clone(), problem });
            }
        };
        let credentials = client.credentials(&self.ledger.seed(), &secret);
        if let Some(obstacle) = holding::obstacle(&mut row, &credentials, &moment(&*self.clock)) {
            self.keep(slot, client, row, None).await?;
            return Err(refusal(client, obstacle));
        }
        let asked = moment(&*self.clock);
        holding::begin(&mut row, &asked);
        self.keep(slot, client, row.clone(), None).await?;
        let denial = match self.request(client, &secret).await {
            Ok(granted) => {
                let mut held = row.clone();
                holding::obtained(&mut held, granted, asked);
                match good(&held, None, &moment(&*self.clock)) {
                    Some(token) => return Ok(self.obtained(slot, client, held, token).await),
                    None => grant::failed(client, "gave a token that had expired before it arrived".to_owned()),
                }
            }
            Err(denial) => denial,
        };
        let now = moment(&*self.clock);
        holding::denied(&mut row, denial, credentials.clone(), now.clone());
        self.denied(slot, client, row, &credentials, &now).await
    }

    async fn obtained(&self, slot: &Slot, client: &Client, row: TokenRow, token: Token) -> Token {
        let (account, expires_in) = (&client.account, token.expires_in.as_secs());
        tracing::info!(event = event::TOKEN_OBTAINED, account, expires_in, "{account}: a token for {expires_in} s");
        if let Err(error) = self.keep(slot, client, row, Some(None)).await {
            // This process uses it all the same; the next one will not know of it.
            tracing::warn!(kind = error.kind(), "the token of {account} could not be recorded: {error}");
        }
        token
    }

    async fn denied(&self, slot: &Slot, client: &Client, row: TokenRow, credentials: &str, now: &Moment) -> Outcome {
        let mut judged = row.clone();
        let obstacle = holding::obstacle(&mut judged, credentials, now);
        let Some(trouble) = &row.trouble else { return Err(TokenError::Stopping(client.account.clone())) };
        let (account, error, remedy) = (&client.account, &trouble.error, &trouble.remedy);
        let problem = if trouble.refused.is_some() {
            tracing::error!(event = event::TOKEN_REFUSED, account, remedy, "{account}: {error}; {remedy}");
            Some(Some(line(error, remedy)))
        } else {
            let (failures, pause) = (trouble.failures, trouble.pause.as_secs());
            tracing::warn!(
                event = event::TOKEN_FAILED,
                account,
                failures,
                "no token for {account}: {error}; not asked again for {pause} s"
            );
            (failures >= FAILING).then(|| Some(format!("no token: {}", line(error, remedy))))
        };
        self.keep(slot, client, row, problem).await?;
        let obstacle = obstacle.ok_or_else(|| TokenError::Stopping(account.clone()))?;
        Err(refusal(client, obstacle))
    }

    /// Keeps what is known, first in memory: it holds even if the ledger fails.
    async fn keep(
        &self,
        slot: &Slot,
        client: &Client,
        row: TokenRow,
        problem: Option<Option<String>>,
    ) -> Result<(), TokenError> {
        slot.lock().row = Some(row.clone());
        let account = &client.account;
        let unusable = problem.clone().flatten().filter(|_| row.trouble.as_ref().is_none_or(|it| it.refused.is_none()));
        let news = self.ledger.record_token(account, row, problem, self.clock.now()).await;
        if news.map_err(|error| ledger_failed(client, &error))?
            && let Some(problem) = unusable
        {
            tracing::error!(event = event::ACCOUNT_UNUSABLE, account, "account {account} cannot work: {problem}");
        }
        Ok(())
    }

    async fn request(&self, client: &Client, secret: &SecretString) -> Result<Granted, Denial> {
        let unanswered = |error: HttpError| grant::unanswered(client, &error);
        let way = self.way.read().unwrap_or_else(PoisonError::into_inner).clone();
        let http = connect(client, way, Arc::clone(&self.clocks)).await.map_err(unanswered)?;
        let form = grant::form(client, secret);
        let answer = http.post_form(&client.token_url, "application/json", &form).await.map_err(unanswered)?;
        grant::read(client, secret, answer).await
    }
}

/// The client's secret, or why it cannot be used.
async fn read_secret(client: &Client) -> Result<SecretString, String> {
    let place = client.secret.clone();
    let read = tokio::task::spawn_blocking(move || place.read(&|name| std::env::var(name).ok())).await;
    match read {
        Ok(Ok(secret)) if secret.expose_secret().is_empty() => {
            Err("its secret is empty: write it into its place".to_owned())
        }
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(error)) => Err(error.to_string()),
        Err(error) => Err(format!("reading its secret was cut short: {error}")),
    }
}

fn refusal(client: &Client, Obstacle { refused, error, remedy, until }: Obstacle) -> TokenError {
    let (account, reason) = (client.account.clone(), error);
    if refused {
        TokenError::Refused { account, reason, remedy, until }
    } else {
        TokenError::Failed { account, reason, remedy, until }
    }
}

fn ledger_failed(client: &Client, error: &LedgerError) -> TokenError {
    TokenError::Ledger { account: client.account.clone(), reason: error.to_string(), remedy: error.remedy().to_owned() }
}

fn line(error: &str, remedy: &str) -> String {
    format!("{error}: {remedy}")
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // A sender that has gone will never say so.
    if stopping.wait_for(|stopping| *stopping).await.is_err() {
        std::future::pending::<()>().await;
    }
}
