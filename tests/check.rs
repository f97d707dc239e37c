//! `check`, `config`, and how every command answers a wrong configuration: all faults at once, each with where, what and
//! remedy, and an exit code that scripts can trust.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Output;
use std::time::Duration;

use common::{SIREN, Town, complained, told};
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Keys, Matcher, Platform, Times};

/// The line that speaks of `account`, with all of `words`.
fn says(output: &Output, weight: &str, account: &str, words: &[&str]) {
    let text = told(output);
    let fits = |line: &&str| {
        line.starts_with(weight) && line.contains(account) && words.iter().all(|word| line.contains(word))
    };
    assert!(text.lines().any(|line| fits(&line)), "no {weight} on {account} with {words:?}:\n{text}");
}

#[tokio::test]
async fn every_finding_on_a_certificate_has_its_weight_and_its_remedy() {
    let town = Town::bare().await;
    let day = Duration::from_secs(86_400);
    let mut tables = vec![
        town.account("good", SIREN, Standing::Valid),
        town.account("soon", "213400010", Standing::ExpiresIn(30 * day + day / 2)),
        town.account("ended", "213400028", Standing::Expired),
        town.account("early", "213400036", Standing::NotYetValid),
        town.account("server", "213400044", Standing::ServerOnly),
        town.account("open", "213400051", Standing::Valid),
        town.account("nokey", "213400069", Standing::Valid),
        town.account("alone", "213400077", Standing::Valid),
        town.account("other", "213400085", Standing::Valid),
    ];
    let table = |name: &str, siren: &str, rest: &str| {
        format!("[[fast.accounts]]\nname = \"{name}\"\nsiren = \"{siren}\"\ncertificate = \"{name}\"\n{rest}\n")
    };
    tables.push(table("absent", "213400093", ""));
    tables.push(table("nopass", "213400101", "certificate_password = { env = \"VAGUEMESTRE_TEST_ABSENT\" }"));
    tables.push(table("outside", "213400119", "certificate_password = { credential = \"outside\" }"));
    let file = |name: &str| town.folder.path().join(name);
    std::fs::set_permissions(file("open"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let pem = |name: &str| std::fs::read_to_string(file(name)).unwrap();
    let key_of = |text: &str| text.find("-----BEGIN PRIVATE").unwrap();
    std::fs::write(file("nokey"), &pem("nokey")[..key_of(&pem("nokey"))]).unwrap();
    let alone = pem("alone");
    let chain = alone[1..].find("-----BEGIN CERT").unwrap() + 1;
    std::fs::write(file("alone"), format!("{}{}", &alone[..chain], &alone[key_of(&alone)..])).unwrap();
    let good = pem("good");
    std::fs::write(file("other"), format!("{}{}", &pem("other")[..key_of(&pem("other"))], &good[key_of(&good)..]))
        .unwrap();
    for name in ["nopass", "outside"] {
        std::fs::copy(file("good"), file(name)).unwrap();
    }
    town.configure("30m", "", &tables.concat());

    let output = town.run(&["check"]).await;
    assert_eq!(output.status.code(), Some(1), "{}{}", told(&output), complained(&output));
    says(&output, "note", "fast/soon", &["expires in 30 days", "ask its authority for a successor"]);
    says(&output, "note", "fast/alone", &["without that of its issuer", "intermediate"]);
    says(&output, "note", "fast/outside", &["certificate_password", "vaguemestre status"]);
    says(&output, "problem", "fast/ended", &["expired on", "install its successor"]);
    says(&output, "problem", "fast/early", &["valid only from", "clock"]);
    says(&output, "problem", "fast/server", &["may not authenticate a client"]);
    says(&output, "problem", "fast/open", &["readable by others", "0644", "chmod o-rwx"]);
    says(&output, "problem", "fast/nokey", &["no private key", "`key`"]);
    says(&output, "problem", "fast/other", &["belongs to another certificate"]);
    says(&output, "problem", "fast/absent", &["does not exist", "correct the path"]);
    says(&output, "problem", "fast/nopass", &["VAGUEMESTRE_TEST_ABSENT"]);
    says(&output, "note", "state.directory", &["does not exist yet"]);
    assert!(!told(&output).lines().any(|line| line.contains("fast/good")), "nothing to say: {}", told(&output));
    let first_note = told(&output).lines().position(|line| line.starts_with("note")).unwrap();
    let last_problem = told(&output).lines().filter(|line| line.starts_with("problem")).count();
    assert_eq!(first_note, last_problem, "problems come before notes");
    assert!(!town.state().exists(), "check makes nothing");
    assert_eq!(town.platform.connections(), 0);
}

#[tokio::test]
async fn the_exit_code_says_whether_all_some_or_no_account_can_work() {
    let town = Town::bare().await;
    let good = town.account("good", SIREN, Standing::Valid);
    let bad = town.account("bad", "213400010", Standing::Expired);
    for (tables, code, words) in [
        (good.clone(), 0, "all is well; 1 accounts can work"),
        (good.clone() + &bad, 1, "1 problems"),
        (bad, 78, "no account can work"),
        (good + "[log]\nlevel = \"loud\"\n", 78, "nothing can start"),
    ] {
        town.configure("30m", "", "");
        let text = std::fs::read_to_string(town.config()).unwrap();
        let text = if tables.contains("loud") { text.split("[log]").next().unwrap().to_owned() } else { text };
        std::fs::write(town.config(), text + &tables).unwrap();
        let output = town.run(&["check"]).await;
        assert_eq!(output.status.code(), Some(code), "{}", told(&output));
        assert!(told(&output).lines().last().unwrap().contains(words), "{}", told(&output));
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_answered_by_every_command_with_all_its_faults_and_78() {
    let town = Town::bare().await;
    let text = "[state]\nreserve = \"a lot\"\n[shedule]\ninterval = \"30m\"\n[schedule]\njitter = \"5\"\n\
                [fast]\nmaintenance = [\"noon\"]\nguard = \"1s\"\n[log]\nlevel = 3\n[[fast.accounts]]\nname = \"Mairie\"\n";
    std::fs::write(town.config(), text).unwrap();
    let keys = ["state.reserve", "shedule", "schedule.jitter", "fast.maintenance", "fast.guard", "log.level"];
    for command in [&["run"][..], &["check"], &["config"], &["poll"], &["plan"], &["status"], &["documents"]] {
        let output = town.run(command).await;
        assert_eq!(output.status.code(), Some(78), "{command:?}");
        let said = told(&output) + &complained(&output);
        for key in keys {
            let line = said.lines().find(|line| line.starts_with("error: ") && line.contains(key));
            assert!(line.is_some_and(|line| line.contains("vaguemestre.toml:")), "{command:?}: no {key}: {said}");
        }
        assert!(!town.state().exists(), "{command:?} touches nothing");
    }
    std::fs::remove_file(town.config()).unwrap();
    let output = town.run(&["run"]).await;
    assert_eq!(output.status.code(), Some(78));
    assert!(complained(&output).contains("vaguemestre.toml"), "{}", complained(&output));
}

#[tokio::test]
async fn wrong_usage_is_2() {
    let town = Town::bare().await;
    for arguments in [
        &["jump"][..],
        &["plan", "--for", "a while"],
        &["plan", "--from", "tomorrow"],
        &["documents", "--state", "eaten"],
        &["documents", "--since", "yesterday"],
        &["retry", "fast/mairie/chorus"],
        &["dismiss", "fast/mairie/chorus", "1"],
        &["status", "--yaml"],
        &["-v", "-q", "status"],
        &[],
    ] {
        let output = town.run(arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", complained(&output));
        assert!(!complained(&output).is_empty());
    }
}

#[tokio::test]
async fn online_opens_connections_and_asks_nothing() {
    let town = Town::bare().await;
    let tables = [
        town.account("good", SIREN, Standing::Valid),
        town.account("foreign", "213400010", Standing::Foreign),
        town.account("revoked", "213400028", Standing::Revoked),
        town.account("ended", "213400036", Standing::Expired),
    ];
    town.configure("30m", "", &tables.concat());
    town.platform.set_fault(Matcher::any(), Fault::Hang, Times::Always);
    let output = town.run(&["check", "--online"]).await;
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    says(&output, "note", "fast/good", &["accepts the connection"]);
    says(&output, "problem", "fast/foreign", &["UnknownCA", "authority that FAST accepts"]);
    says(&output, "problem", "fast/revoked", &["CertificateRevoked", "order a new certificate"]);
    says(&output, "problem", "fast/ended", &["expired on"]);
    assert_eq!(town.platform.connections(), 3, "none for the one that has expired");
    assert!(town.platform.requests().is_empty());

    town.platform.stop_accepting().await;
    let output = town.run(&["check", "--online"]).await;
    says(&output, "problem", "fast/good", &["no connection to localhost", "check the network"]);
    assert_eq!(output.status.code(), Some(78), "no account can work: {}", told(&output));
}

#[tokio::test]
async fn online_names_an_inspecting_device_and_keeps_out_of_the_maintenance() {
    let keys = Keys::generate().unwrap();
    let platform = Platform::start(&Keys::generate().unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let authority = keys.write_authority(folder.path()).unwrap();
    let town = Town { folder, authority, keys, platform };
    let table = town.account("mairie", SIREN, Standing::Valid);
    town.configure("30m", "", &table);
    let output = town.run(&["check", "--online"]).await;
    says(&output, "problem", "fast/mairie", &["Autorite de demonstration", "inspect TLS", "ca_certificate"]);
    let before = town.platform.connections();

    // All day long but for the hour it is not, wherever the sun stands.
    let text = std::fs::read_to_string(town.config()).unwrap();
    let hour = now().to_zoned(jiff::tz::TimeZone::get("Europe/Paris").unwrap()).hour();
    let (from, until) = ((hour + 23) % 24, (hour + 2) % 24);
    let window = format!("maintenance = [\"{from:02}:00-{until:02}:59\"]");
    std::fs::write(town.config(), text.replace("maintenance = []", &window)).unwrap();
    let output = town.run(&["check", "--online"]).await;
    says(&output, "problem", "fast/mairie", &["must not be called before", "then"]);
    assert_eq!(town.platform.connections(), before);
}

#[expect(clippy::disallowed_methods, reason = "the window is put around the machine's present hour")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[tokio::test]
async fn config_prints_what_reads_back_to_the_same_with_every_default_and_no_secret() {
    let town = Town::bare().await;
    std::fs::write(town.folder.path().join("word"), "s3same-ouvre-toi").unwrap();
    let table = town.account("mairie", SIREN, Standing::Valid) + "certificate_password = { file = \"word\" }\n";
    town.configure("30m", "", &table);
    let first = town.run(&["config"]).await;
    assert!(first.status.success());
    let text = told(&first);
    for key in
        ["connections = 64", "keep = \"90d\"", "first_poll = \"collect\"", "concurrency = 4", "file_mode = \"0640\""]
    {
        assert!(text.contains(key), "{key}:\n{text}");
    }
    assert!(text.contains("word") && !text.contains("s3same"), "{text}");
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("again.toml"), &text).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_vaguemestre"));
    let again = command.arg("--config").arg(elsewhere.path().join("again.toml")).arg("config").output().unwrap();
    assert_eq!(told(&again), text);
}
