//! Early warnings: what is amiss is told once to those whom `[[alerts]]` names, until it is over; and a certificate that follows
//! takes over by itself.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../common/mod.rs"]
mod common;
mod itself;
mod next_certificate;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use common::hook::{Hook, Told};
use common::{Daemon, SIREN, Town, complained, strace, told};
use serde_json::Value;
use vaguemestre::clock::{Clock as _, SetClock, SystemClock};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::samples::{self, Verdict};
use vaguemestre::simulator::{Fault, Matcher, Times};

const DAY: Duration = Duration::from_secs(86_400);

/// The table of somebody who is told by `hook`.
fn told_by(hook: &Hook, more: &str) -> String {
    format!("[[alerts]]\nname = \"exploitation\"\nwebhook = \"{}\"\n{more}\n", hook.url)
}

/// All that `told` holds, one alert after the other.
fn among(told: &[Told]) -> Vec<Value> {
    told.iter().flat_map(|told| told.json()["alerts"].as_array().unwrap().clone()).collect()
}

/// All that `hook` was told, one alert after the other.
fn alerts(hook: &Hook) -> Vec<Value> {
    among(&hook.told())
}

/// Waits until `hook` was told an alert that is `wanted`, and answers that.
async fn wait_until(hook: &Hook, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    hook.until(what, |told| among(told).iter().any(&wanted)).await;
    alerts(hook).into_iter().find(wanted).unwrap()
}

/// Waits until `hook` was told that `kind` is in that `state`, and answers that alert.
async fn wait_for(hook: &Hook, kind: &str, state: &str) -> Value {
    wait_until(hook, &format!("{kind} {state}"), |it| it["kind"] == kind && it["state"] == state).await
}

/// Has `daemon` tell of something else (a configuration that it does not take up), and waits for that: what it could tell before,
/// it has told.
async fn fence(town: &Town, daemon: &Daemon, hook: &Hook) {
    let config = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), format!("{config}[shedule]\n")).unwrap();
    daemon.signal("HUP");
    wait_for(hook, "config_rejected", "raised").await;
    std::fs::write(town.config(), config).unwrap();
}

#[tokio::test]
async fn an_account_that_cannot_work_is_told_once_with_the_remedy_and_told_again_when_it_works() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    std::fs::write(town.shared("key"), "s3cret\n").unwrap();
    let more = "secret = { file = \"key\" }";
    let mairie = town.account("mairie", SIREN, Standing::Expired) + "label = \"Mairie de Sète\"\ncontact = \"04 99\"\n";
    let well = town.account("ccas", "213400010", Standing::Valid);
    town.configure("1s", "", &(mairie + &well + &told_by(&hook, more)));
    std::fs::set_permissions(town.shared("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let daemon = town.start().await;
    let alert = wait_for(&hook, "account_unusable", "raised").await;
    assert_eq!((alert["subject"].as_str(), alert["severity"].as_str()), (Some("fast/mairie"), Some("error")));
    assert!(alert["message"].as_str().unwrap().contains("the certificate expired on"), "{alert}");
    assert!(alert["remedy"].as_str().unwrap().contains("systemctl reload vaguemestre"), "{alert}");
    assert_eq!((alert["label"].as_str(), alert["contact"].as_str()), (Some("Mairie de Sète"), Some("04 99")));
    let first = hook.told()[0].clone();
    assert!(first.headers["x-vaguemestre-signature"].starts_with("sha256="), "{first:?}");
    assert_eq!(first.headers["idempotency-key"], first.json()["notice"].as_str().unwrap());
    assert!(first.json()["summary"].as_str().unwrap().starts_with("vaguemestre on "), "{first:?}");
    daemon.wait_event("alert.sent").await;
    assert!(daemon.stop().await.success());

    // Whoever was told is not told by the next run.
    let daemon = town.start().await;
    let before = hook.told().len();
    std::fs::remove_file(town.shared("mairie")).unwrap();
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    assert!(mairie.contains("certificate = \"mairie\""), "its file is exchanged for a good one: {mairie}");
    daemon.signal("HUP");
    let over = wait_for(&hook, "account_unusable", "cleared").await;
    assert!(over["cleared_at"].is_string(), "{over}");
    assert_eq!(alerts(&hook).iter().filter(|it| it["kind"] == "account_unusable").count(), 2, "{:?}", hook.told());
    assert!(hook.told().len() > before);
    town.wait_value("SELECT count(*) FROM alerts WHERE kind = 'account_unusable'", "0").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_certificate_that_ends_is_told_to_a_program_by_mail_and_to_the_log() {
    let town = Town::bare().await;
    town.program("mail", "printf '%s\\n' \"$@\" > arguments; cat > text; printf %s \"$VAGUEMESTRE_JSON\" > json");
    let mairie = town.account("mairie", SIREN, Standing::ExpiresIn(20 * DAY + DAY / 2));
    let alert = format!(
        "[[alerts]]\nname = \"courriel\"\ncommand = [\"{}\", \"-s\", \"{{summary}}\", \"a@example.fr\"]\n",
        town.shared("mail").display()
    );
    town.configure("1s", "", &(mairie + &alert));
    let daemon = town.start().await;
    daemon.wait_event("alert.sent").await;
    let arguments = town.read("arguments");
    let [dash, summary, to] = arguments.lines().collect::<Vec<_>>()[..] else { panic!("{arguments}") };
    assert_eq!((dash, to), ("-s", "a@example.fr"));
    assert!(summary.ends_with("the certificate of fast/mairie ends in 20 days; order the next one"), "{summary}");
    let text = town.read("text");
    assert!(text.contains("WARNING") && text.contains("what to do: order a successor"), "{text}");
    let json: Value = serde_json::from_str(&town.read("json")).unwrap();
    assert_eq!(json["alerts"][0]["kind"], "certificate_expiring");
    let said = daemon.wait_event("certificate.expiring").await;
    assert_eq!((said["days"].as_i64(), said["account"].as_str()), (Some(20), Some("fast/mairie")), "{said}");
    assert!(daemon.stop().await.success());
    assert_eq!(daemon_events(&town, "certificate.expiring"), 1, "once");
}

/// Events of that name in all logs of a town.
fn daemon_events(town: &Town, name: &str) -> usize {
    let logs = std::fs::read_dir(town.folder.path()).unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let logs = logs.filter(|path| path.extension().is_some_and(|it| it == "log"));
    logs.map(|path| std::fs::read_to_string(path).unwrap().matches(&format!("\"{name}\"")).count()).sum()
}

#[tokio::test]
async fn documents_that_need_a_person_are_told_and_told_again_when_there_are_more() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    town.configure("1ms", "", &(town.account("mairie", SIREN, Standing::Valid) + &told_by(&hook, "")));
    town.put_many(Kind::Chorus, 1, 1, 500);
    town.platform.set_fault(Matcher::download(1), Fault::HtmlWith200, Times::Always);
    town.platform.set_fault(Matcher::download(2), Fault::HtmlWith200, Times::Always);
    let daemon = town.start().await;
    let alert = wait_for(&hook, "document_abandoned", "raised").await;
    assert_eq!(alert["subject"], "fast/mairie/chorus");
    assert!(alert["message"].as_str().unwrap().starts_with("1 document "), "{alert}");
    town.put_many(Kind::Chorus, 2, 1, 500);
    wait_until(&hook, "two", |it| it["message"].as_str().unwrap().starts_with("2 documents ")).await;
    let dismissed = town.run(&["dismiss", "fast/mairie/chorus", "1", "2", "--reason", "by hand"]).await;
    assert!(dismissed.status.success(), "{}", complained(&dismissed));
    wait_for(&hook, "document_abandoned", "cleared").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn who_cannot_be_reached_is_told_later_and_status_says_so_meanwhile() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    hook.answer("503 Service Unavailable", "", "back soon");
    town.configure("1s", "", &(town.account("mairie", SIREN, Standing::Expired) + &told_by(&hook, "")));
    let daemon = town.start().await;
    let failed = daemon.wait_event("alert.failed").await;
    assert!(failed["error"].as_str().unwrap().contains("503: back soon"), "{failed}");
    let shown = told(&town.run(&["status"]).await);
    assert!(shown.contains("alerts cannot be told to exploitation: ") && shown.contains("503"), "{shown}");
    daemon.wait_event("alert.sent").await;
    let [first, second] = &hook.told()[..] else { panic!("{:?}", hook.told()) };
    assert_eq!(first.headers["idempotency-key"], second.headers["idempotency-key"], "the same notice");
    let shown = told(&town.run(&["status"]).await);
    assert!(!shown.contains("cannot be told"), "{shown}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn who_wants_only_errors_is_not_told_of_what_may_wait() {
    let town = Town::bare().await;
    let (all, errors) = (Hook::open().await, Hook::open().await);
    let errors_only = told_by(&errors, "severity = \"error\"").replace("exploitation", "astreinte");
    let tables = town.account("mairie", SIREN, Standing::ExpiresIn(20 * DAY))
        + &town.account("ccas", "213400010", Standing::Expired)
        + &told_by(&all, "")
        + &errors_only;
    town.configure("1s", "", &tables);
    let daemon = town.start().await;
    wait_for(&all, "certificate_expiring", "raised").await;
    wait_for(&all, "account_unusable", "raised").await;
    wait_for(&errors, "account_unusable", "raised").await;
    fence(&town, &daemon, &errors).await;
    assert!(alerts(&errors).iter().all(|it| it["severity"] == "error"), "{:?}", alerts(&errors));
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn little_room_on_the_disk_is_told_before_there_is_none() {
    let town = Town::with_interval("1s").await;
    let hook = Hook::open().await;
    let free = vaguemestre::state::free_space(town.folder.path()).unwrap();
    let config = std::fs::read_to_string(town.config()).unwrap() + &told_by(&hook, "");
    let with_reserve = |reserve: u64| {
        let text = config.replace("reserve = \"1MiB\"", &format!("reserve = \"{}MiB\"", reserve >> 20));
        std::fs::write(town.config(), text).unwrap();
    };
    with_reserve(free / 3 * 2);
    let daemon = town.start().await;
    let alert = wait_for(&hook, "disk_low", "raised").await;
    assert_eq!(alert["severity"], "warning");
    let said = daemon.wait_event("disk.low").await;
    assert_eq!(said["level"], "WARN", "{said}");
    with_reserve(free / 2 * 3);
    daemon.signal("HUP");
    wait_until(&hook, "full", |it| it["kind"] == "disk_low" && it["severity"] == "error").await;
    let (status, code) = town.status().await;
    assert_eq!((status["troubles"][0]["kind"].as_str(), code), (Some("disk_low"), Some(1)), "{status}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_feed_that_brings_nothing_for_too_long_is_told() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid) + "silent_after = \"1s\"\nfeeds = [\"chorus\"]\n";
    town.configure("1s", "", &(mairie + &told_by(&hook, "")));
    let daemon = town.start().await;
    let alert = wait_for(&hook, "feed_silent", "raised").await;
    assert_eq!(alert["subject"], "fast/mairie/chorus");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_feed_is_told_to_fail_only_after_two_hours() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid) + "feeds = [\"chorus\"]\n";
    town.configure("1s", "", &(mairie + &told_by(&hook, "")));
    let listing = Matcher::listing(SIREN, Kind::Chorus);
    town.platform.set_fault(listing, Fault::Status(503, "".into(), Vec::new()), Times::Always);
    let daemon = town.start().await;
    daemon.wait_event("feed.failing").await;
    let (status, _) = town.status().await;
    let trouble = &status["troubles"][0];
    assert_eq!((trouble["kind"].as_str(), trouble["severity"].as_str()), (Some("feed_failing"), Some("passing")));
    fence(&town, &daemon, &hook).await;
    assert!(daemon.stop().await.success());
    assert!(alerts(&hook).iter().all(|it| it["kind"] != "feed_failing"), "{:?}", alerts(&hook));
    town.query("UPDATE feeds SET failing_since = '2026-01-01T00:00:00.000Z'").await;
    let daemon = town.start().await;
    let alert = wait_for(&hook, "feed_failing", "raised").await;
    assert!(alert["message"].as_str().unwrap().contains("503"), "{alert}");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_test_is_sent_by_hand_and_what_is_wrong_with_the_way_is_found_by_check() {
    let town = Town::with_interval("1h").await;
    let none = town.run(&["alert"]).await;
    assert_eq!(none.status.code(), Some(1));
    assert!(told(&none).contains("nobody is told alerts: add a table [[alerts]]"), "{none:?}");
    let hook = Hook::open().await;
    let gone = "[[alerts]]\nname = \"courriel\"\ncommand = [\"/usr/bin/no-such-mailer\"]\n";
    let config = std::fs::read_to_string(town.config()).unwrap() + &told_by(&hook, "") + gone;
    std::fs::write(town.config(), config).unwrap();
    let sent = town.run(&["alert", "exploitation"]).await;
    assert!(sent.status.success() && told(&sent).contains("exploitation: a test was taken"), "{sent:?}");
    assert_eq!(alerts(&hook)[0]["kind"], "test");
    let failed = town.run(&["alert"]).await;
    assert_eq!(failed.status.code(), Some(1));
    assert!(told(&failed).contains("courriel: the program /usr/bin/no-such-mailer cannot be called"), "{failed:?}");
    let unknown = town.run(&["alert", "nobody"]).await;
    assert!(told(&unknown).contains("no table [[alerts]] is named nobody"), "{unknown:?}");
    let checked = town.run(&["check"]).await;
    assert!(
        told(&checked).contains("problem: alerts \"courriel\": the program /usr/bin/no-such-mailer"),
        "{checked:?}"
    );
}

#[tokio::test]
async fn what_helios_refused_and_what_somebody_else_collected_is_told() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    town.configure("1h", "", &(town.account("mairie", SIREN, Standing::Valid) + &told_by(&hook, "")));
    let refused = samples::acquittement(1, "PES_1", Verdict::Refused, 3000);
    town.platform.put(SIREN, Kind::Acquittements, 1, refused);
    town.put_many(Kind::Chorus, 2, 1, 500);
    town.platform.set_fault(Matcher::download(2), Fault::Status(404, "".into(), Vec::new()), Times::Always);
    let daemon = town.start().await;
    let rejected = wait_for(&hook, "document_rejected", "raised").await;
    assert_eq!(rejected["subject"], "fast/mairie/acquittements");
    assert!(rejected["message"].as_str().unwrap().contains("Hélios refused 1 deposit"), "{rejected}");
    let gone = wait_for(&hook, "document_gone", "raised").await;
    assert_eq!((gone["subject"].as_str(), gone["severity"].as_str()), (Some("fast/mairie/chorus"), Some("warning")));
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_clock_that_differs_from_the_platform_s_is_told_until_it_agrees() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    let now = SystemClock::new().now();
    town.platform.set_clock(Arc::new(SetClock::at(now + Duration::from_secs(600))));
    town.configure("1s", "", &(town.account("mairie", SIREN, Standing::Valid) + &told_by(&hook, "")));
    let daemon = town.start().await;
    let skew = wait_for(&hook, "clock_skew", "raised").await;
    assert!(skew["message"].as_str().unwrap().contains(" s behind that of https://localhost:"), "{skew}");
    assert!(skew["remedy"].as_str().unwrap().contains("timedatectl set-ntp true"), "{skew}");
    town.platform.set_clock(Arc::new(SystemClock::new()));
    wait_for(&hook, "clock_skew", "cleared").await;
    assert_eq!(town.value("SELECT count(*) FROM clocks").await, "0");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn deliveries_that_fail_for_an_hour_and_a_target_that_is_not_there_are_told() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    town.program("integrer", "echo full >&2; exit 1");
    let targets = town.calling("integrer", "", "") + &town.calling("absent", "", "");
    town.configure("1h", "", &(town.account("mairie", SIREN, Standing::Valid) + &targets + &told_by(&hook, "")));
    town.put_many(Kind::Chorus, 1, 1, 500);
    let daemon = town.start().await;
    let absent = wait_for(&hook, "target_unusable", "raised").await;
    assert_eq!(absent["subject"], "absent");
    daemon.wait_event("delivery.failed").await;
    fence(&town, &daemon, &hook).await;
    assert!(alerts(&hook).iter().all(|it| it["kind"] != "delivery_stuck"), "an hour has not passed");
    let long_ago = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 hours')";
    town.query(&format!("UPDATE deliveries SET failing_since = {long_ago} WHERE target = 'integrer'")).await;
    let stuck = wait_for(&hook, "delivery_stuck", "raised").await;
    assert_eq!(stuck["subject"], "integrer");
    assert!(stuck["message"].as_str().unwrap().contains("failed with exit code 1: full"), "{stuck}");
    town.program("integrer", "exit 0");
    town.program("absent", "exit 0");
    town.let_the_pause_pass().await;
    wait_for(&hook, "delivery_stuck", "cleared").await;
    wait_for(&hook, "target_unusable", "cleared").await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_token_that_was_delivered_by_hand_is_told_to_end() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    let end = SystemClock::new().now().as_second() + 5 * 86_400 + 3600;
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{end}}}"));
    std::fs::write(town.shared("jwt"), format!("e30.{claims}.c2ln\n")).unwrap();
    std::fs::set_permissions(town.shared("jwt"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let entreprise = "[entreprise]\nbase_url = \"http://127.0.0.1:9\"\n[[entreprise.accounts]]\nname = \"marches\"\n\
                      token = { file = \"jwt\" }\ncontext = \"Marchés publics\"\nrecipient = \"55203253400646\"\n\
                      object = \"veille\"\n";
    town.configure("1h", "", &(town.account("mairie", SIREN, Standing::Valid) + entreprise + &told_by(&hook, "")));
    let daemon = town.start().await;
    let alert = wait_for(&hook, "token_expiring", "raised").await;
    assert_eq!((alert["subject"].as_str(), alert["severity"].as_str()), (Some("entreprise/marches"), Some("error")));
    assert!(alert["message"].as_str().unwrap().contains("ends in 5 days"), "{alert}");
    assert!(daemon.stop().await.success());
}
