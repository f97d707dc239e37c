//! One account does not delay another's polls: neither by a hundred thousand documents that wait, nor by a server that answers
//! it a byte at a time. Nor does one platform delay another's, however many feeds of it wait.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::wire::{Asked, Step, Wire, answer, authority};
use common::{Daemon, PATIENCE, SIREN, Town, sample};
use tokio::time::Instant;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::Gateway;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::oauth::Tokens;

/// The neighbour's interval; with [`LATE`] it stands for half an hour with a minute.
const INTERVAL: Duration = Duration::from_secs(1);
/// By how much a poll of the neighbour's may be late.
const LATE: Duration = Duration::from_secs(3);
/// How long the neighbour is watched.
const WATCH: Duration = Duration::from_secs(7);
const GREEDY: &str = "500000001";

fn is_listing(asked: &Asked) -> bool {
    asked.path().ends_with("/remaining")
}

/// The id in the address of a document.
fn id(asked: &Asked) -> u64 {
    asked.path().split('/').rev().nth(2).unwrap().parse().unwrap()
}

/// Two accounts, whose requests are answered by `greedy` and honestly: each listing of the neighbour's shows a document that
/// is new.
async fn town(connections: usize, greedy: impl Fn(&Asked) -> Vec<Step> + Send + Sync + 'static) -> (Town, Wire) {
    let next = std::sync::atomic::AtomicU64::new(1);
    let wire = Wire::over_tls(move |asked| match (asked.path().contains(GREEDY), is_listing(asked)) {
        (true, _) => greedy(asked),
        (false, true) => {
            let id = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            vec![Step::Say(answer("200 OK", "", format!("[{id}]")))]
        }
        (false, false) if id(asked) < 1_000_000 => {
            vec![Step::Say(answer("200 OK", "", sample(Kind::Chorus, id(asked), 1000)))]
        }
        (false, false) => greedy(asked),
    });
    let (wire, town) = (wire.await, Town::bare().await);
    let mairie = town.account("mairie", SIREN, Standing::Valid) + "feeds = [\"chorus\"]\n";
    let greedy = format!("[[fast.accounts]]\nname = \"greedy\"\nsiren = \"{GREEDY}\"\ncertificate = \"mairie\"\n");
    town.configure("1s", "timeout = \"60s\"", &format!("{mairie}{greedy}[http]\nconnections = {connections}\n"));
    let text = std::fs::read_to_string(town.config()).unwrap();
    let text = text.replace(&town.platform.base_url(), &wire.url());
    let text = text.replace(&town.authority.display().to_string(), &authority().display().to_string());
    std::fs::write(town.config(), text).unwrap();
    (town, wire)
}

/// Watches the neighbour for a while: no poll of it is late, and what it listed is delivered soon.
async fn assert_not_delayed(town: &Town, wire: &Wire) {
    let began = Instant::now();
    tokio::time::sleep(WATCH).await;
    let mut listings: Vec<Instant> = wire
        .asked()
        .into_iter()
        .filter(|asked| asked.path().contains(SIREN) && is_listing(asked) && asked.at >= began)
        .map(|asked| asked.at)
        .collect();
    listings.extend([began, began + WATCH]);
    listings.sort_unstable();
    let gap = listings.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gap < INTERVAL + LATE, "no poll of the neighbour's for {gap:?}");
    assert!(listings.len() > 4, "{}", listings.len());
    let row = &town
        .query(
            "SELECT count(*), max(strftime('%s', delivered_at, 'subsec') - strftime('%s', listed_at, 'subsec')) FROM documents
             JOIN deliveries USING (feed, remote_id) WHERE feed = 'fast/mairie/chorus' AND delivered_at IS NOT NULL",
        )
        .await[0];
    let (count, slowest) = (row[0].parse::<usize>().unwrap(), row[1].parse::<f64>().unwrap());
    assert!(count + 3 >= listings.len() - 2 && slowest < LATE.as_secs_f64(), "{count} documents, {slowest} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_documents_that_wait_delay_no_other_account() {
    let ids: Vec<String> = (1_000_000..1_100_000).map(|id| id.to_string()).collect();
    let list = answer("200 OK", "", format!("[{}]", ids.join(",")));
    let (town, wire) = town(64, move |asked| {
        let said: Bytes = if is_listing(asked) && asked.path().contains("/chorus/") {
            list.clone()
        } else if is_listing(asked) {
            answer("200 OK", "", "[]")
        } else {
            answer("200 OK", "", sample(Kind::Chorus, id(asked), 1000))
        };
        vec![Step::Say(said)]
    })
    .await;
    let daemon = town.start().await;
    // From the listing itself on: while it is recorded, and while its documents come.
    assert_not_delayed(&town, &wire).await;
    let fetched =
        town.value("SELECT count(*) FROM documents WHERE feed LIKE 'fast/greedy/%' AND stored_at IS NOT NULL").await;
    let waiting = town.value("SELECT count(*) FROM documents WHERE feed LIKE 'fast/greedy/%'").await;
    assert!(fetched.parse::<u32>().unwrap() > 50 && waiting == "100000", "{fetched} of {waiting} came meanwhile");
    daemon.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_answers_a_byte_a_second_delays_no_other_account() {
    for slow_listing in [true, false] {
        // Few connections: those that are slow keep none of the others.
        let (town, wire) = town(8, move |asked| {
            let honest = answer(
                "200 OK",
                "",
                format!("[{}]", (1_000_000..1_000_040).map(|id| id.to_string()).collect::<Vec<_>>().join(",")),
            );
            if is_listing(asked) && !slow_listing {
                return vec![Step::Say(honest)];
            }
            vec![Step::Drip(honest, Duration::from_secs(1))]
        })
        .await;
        let daemon = town.start().await;
        assert_not_delayed(&town, &wire).await;
        let slow =
            town.value("SELECT count(*) FROM polls WHERE feed LIKE 'fast/greedy/%' AND finished_at IS NULL").await;
        assert_eq!(slow, "3", "it is still at it");
        daemon.kill().await;
    }
}

/// A town whose `accounts` of FAST are answered a byte a second, and which asks an honest API of the customs every second,
/// over eight connections in all.
async fn beside_customs(accounts: usize) -> (Town, Gateway, Wire) {
    let wire = Wire::over_tls(|_| vec![Step::Drip(answer("200 OK", "", "[]"), Duration::from_secs(1))]).await;
    let town = Town::bare().await;
    let tokens = Arc::new(Tokens::start().await.unwrap());
    tokens.know("COMPTE-API", "secret");
    let gateway = Gateway::start(Arc::clone(&tokens)).await.unwrap();
    gateway.put("/a", "application/json", "{\"n\":1}");
    let password = town.folder.path().join("password");
    std::fs::write(&password, "secret").unwrap();
    std::fs::set_permissions(password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    town.account("commune", SIREN, Standing::Valid);
    let account = |number: usize| {
        format!(
            "[[fast.accounts]]\nname = \"commune{number}\"\nsiren = \"500000{number:03}\"\ncertificate = \"commune\"\n"
        )
    };
    let accounts: String = (0..accounts).map(account).collect();
    let douane = format!(
        "[douane]\ntoken_url = \"{}\"\napi_url = \"{}\"\n[[douane.accounts]]\nname = \"siege\"\n\
         username = \"COMPTE-API\"\npassword = {{ file = \"password\" }}\n[[douane.resources]]\nname = \"suivi\"\n\
         account = \"siege\"\npath = \"/a\"\nevery = \"1s\"\n[http]\nconnections = 8\n",
        tokens.douane_url(),
        gateway.url()
    );
    town.configure("1s", "timeout = \"60s\"", &(accounts + &douane));
    let text = std::fs::read_to_string(town.config()).unwrap();
    let text = text.replace(&town.platform.base_url(), &wire.url());
    let text = text.replace(&town.authority.display().to_string(), &authority().display().to_string());
    std::fs::write(town.config(), text).unwrap();
    (town, gateway, wire)
}

/// Polls of FAST that have a connection.
const SLOW: &str = "SELECT count(*) FROM polls WHERE feed LIKE 'fast/%' AND finished_at IS NULL";

/// Watches the customs for a while: they are asked on time.
async fn assert_customs_not_delayed(town: &Town, gateway: &Gateway) {
    let before = gateway.requests().len();
    tokio::time::sleep(WATCH).await;
    let asked = gateway.requests().len() - before;
    assert!(asked >= 3, "the customs were asked {asked} times in {WATCH:?}");
    assert_eq!(town.value(SLOW).await, "7", "of eight connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_answers_nobody_in_time_leaves_connections_to_the_others() {
    let (town, gateway, _wire) = beside_customs(12).await;
    let daemon = town.start().await;
    // Thirty-six feeds of FAST want more than there is.
    town.wait_value(&format!("SELECT ({SLOW}) >= 7"), "1").await;
    assert_customs_not_delayed(&town, &gateway).await;
    daemon.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_feeds_of_a_slow_platform_than_may_wait_at_a_time_leave_places_to_the_others() {
    let (town, gateway, _wire) = beside_customs(200).await;
    let path = town.folder.path().join("notify");
    let systemd = tokio::net::UnixDatagram::bind(&path).unwrap();
    let mut command = town.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path);
    let daemon = Daemon::spawn(command, town.folder.path());
    daemon.wait_event("daemon.ready").await;
    // Six hundred feeds of FAST are due, and the customs not yet.
    town.query(
        "UPDATE feeds SET next_poll_at = CASE WHEN feed LIKE 'fast/%' THEN '2020-01-01T00:00:00.000Z'
             ELSE strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+1 hour') END",
    )
    .await;
    let full = async {
        let mut buffer = [0; 4096];
        loop {
            let length = systemd.recv(&mut buffer).await.unwrap();
            let said = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let polling = said.split_once("polling ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
            if polling.is_some_and(|feeds: usize| feeds >= 512) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, full).await.unwrap();
    // Whoever takes the earliest still sees none of the customs.
    town.query("UPDATE feeds SET next_poll_at = '2020-01-02T00:00:00.000Z' WHERE feed LIKE 'douane/%'").await;
    assert_customs_not_delayed(&town, &gateway).await;
    daemon.kill().await;
}
