//! What right configurations come to.

use std::path::Path;
use std::time::Duration;

use vaguemestre::config::{self, FirstPoll, Handover, Inbox, Patterns, Program, SecretRef, Target, Webhook, Weight};
use vaguemestre::feed::{FeedName, Kind};

use super::{ACCOUNT, Setup, told};

fn inbox(target: &Target) -> &Inbox {
    match &target.handover {
        Handover::Inbox(inbox) => inbox,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_account_is_all_a_configuration_needs() {
    let setup = Setup::beside_account("");
    let settings = setup.settings();
    let fast = settings.fast.unwrap();
    assert_eq!(settings.state.directory, Path::new("/var/lib/vaguemestre"));
    assert_eq!(settings.state.reserve, 512 << 20);
    assert_eq!(settings.schedule.interval.as_secs(), 1800);
    assert_eq!(settings.archive.keep.as_secs(), 90 * 86_400);
    assert_eq!((fast.base_url.as_str(), fast.loopback), ("https://parapheur.dfast.fr", false));
    assert_eq!(fast.origin, "https://parapheur.dfast.fr");
    assert_eq!(fast.maintenance, ["04:05-04:15".parse().unwrap()]);
    let account = &fast.accounts[0];
    assert_eq!(account.certificate, setup.path("mairie.p12"), "relative to the file that names it");
    assert_eq!(account.feeds, Kind::USUAL);
    assert!(account.enabled && account.first_poll == FirstPoll::Collect);
    let target = &settings.delivery.targets[0];
    assert_eq!(target.name, "inbox");
    let inbox = inbox(target);
    assert_eq!((inbox.inbox.as_path(), inbox.file_mode), (Path::new("/var/lib/vaguemestre/inbox"), 0o640));
    assert_eq!(inbox.inbox_stale.as_secs(), 86_400);
    assert!(target.wants(&"fast/mairie/chorus".parse().unwrap()));
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let main = std::fs::read_to_string(shipped.join("vaguemestre.toml")).unwrap();
    let explained = Setup::new(&main).file("mairie.toml", ACCOUNT);
    let silent = Setup::new("").file("mairie.toml", ACCOUNT);
    let (mut explained, silent) = (explained.settings(), silent.settings());
    // Each account's certificate lies in the folder of its own setup.
    explained.fast.as_mut().unwrap().accounts = silent.fast.clone().unwrap().accounts;
    assert_eq!(explained, silent);
    let loaded = config::load(&shipped.join("vaguemestre.toml"), std::iter::empty());
    assert!(loaded.findings.is_empty(), "{}", told(&loaded));
}

#[test]
fn commented_options_of_the_shipped_files_are_right_too() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let uncommented = |name: &str| -> String {
        let text = std::fs::read_to_string(shipped.join(name)).unwrap();
        let option =
            |line: &str| line.starts_with("[[") || line.split(" = ").next().is_some_and(|key| !key.contains(' '));
        let uncomment = |line: &str| match line.strip_prefix("# ") {
            Some(rest) if option(rest) && (rest.contains(" = ") || rest.starts_with("[[")) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        };
        text.lines().map(uncomment).collect()
    };
    let setup = Setup::new(&uncommented("vaguemestre.toml"))
        .file("fast.toml", &uncommented("conf.d/fast.toml"))
        .file("douane.toml", &uncommented("conf.d/douane.toml"))
        .file("piste.toml", &uncommented("conf.d/piste.toml"));
    let settings = setup.settings();
    let fast = settings.fast.unwrap();
    assert_eq!(fast.base_url, "https://parapheur.example.fr");
    assert_eq!(fast.proxy.as_deref(), Some("http://other-proxy.example.fr:3128"));
    assert_eq!(fast.accounts[0].key, Some(setup.path("conf.d/mairie.key")));
    assert_eq!(settings.delivery.targets[0].name, "finances");
    assert_eq!(settings.douane.unwrap().accounts[0].password, SecretRef::File(setup.path("conf.d/douane.password")));
    assert_eq!(settings.piste.unwrap().token_url, "https://oauth.example.fr/api/oauth/token");
    assert_eq!(settings.token.socket.as_deref(), Some(Path::new("/run/vaguemestre/token.sock")));
}

#[test]
fn a_platform_on_this_machine_has_no_floors() {
    let setup = Setup::beside_account(
        "[schedule]\ninterval = \"1s\"\njitter = \"0s\"\navoid_hour = \"0s\"\n[fast]\nbase_url = \"http://127.0.0.1:8080/\"\nguard = \"0s\"\nmaintenance = []",
    );
    let fast = setup.settings().fast.unwrap();
    assert!(fast.loopback);
    assert_eq!((fast.base_url.as_str(), fast.origin.as_str()), ("http://127.0.0.1:8080", "http://127.0.0.1:8080"));

    let demo = Setup::beside_account("[fast]\nenvironment = \"demo\"").settings().fast.unwrap();
    assert_eq!(demo.base_url, "https://demo-parapheur.dfast.fr");
}

#[test]
fn the_way_to_the_platform_is_that_of_http_unless_it_has_its_own() {
    let http = "[http]\nproxy = \"http://a:1\"\nca_certificate = \"a.pem\"\n";
    let setup = Setup::beside_account(http);
    let fast = setup.settings().fast.unwrap();
    assert_eq!((fast.proxy.as_deref(), fast.ca_certificate), (Some("http://a:1"), Some(setup.path("a.pem"))));
    let own = Setup::beside_account(&format!("{http}[fast]\nproxy = \"http://b:1\""));
    assert_eq!(own.settings().fast.unwrap().proxy.as_deref(), Some("http://b:1"));
}

#[test]
fn targets_add_up_and_want_the_feeds_their_patterns_mean() {
    let target = |name: &str, feeds: &str| {
        format!("[[delivery.targets]]\nname = \"{name}\"\nfeeds = {feeds}\ninbox = \"{name}\"\n")
    };
    let setup =
        Setup::beside_account(&target("all", "[\"fast/*\"]")).file("b.toml", &target("invoices", "[\"*/chorus\"]"));
    let targets = setup.settings().delivery.targets;
    let wanted = |feed: &str| -> Vec<String> {
        let feed: FeedName = feed.parse().unwrap();
        targets.iter().filter(|target| target.wants(&feed)).map(|target| target.name.clone()).collect()
    };
    assert_eq!(wanted("fast/mairie/chorus"), ["all", "invoices"]);
    assert_eq!(wanted("fast/mairie/acquittements"), ["all"]);
    assert_eq!(inbox(&targets[1]).inbox, setup.path("conf.d/invoices"));
    let account = Patterns::parse(vec!["fast/mairie".to_owned()]).unwrap();
    assert!(account.matches(&"fast/mairie/chorus".parse().unwrap()));
    assert!(!account.matches(&"fast/mairie-2/chorus".parse().unwrap()));

    let twice = Setup::beside_account(&target("a", "[\"*\"]")).file("b.toml", &target("a", "[\"*\"]"));
    twice.tells(Weight::Error, &["b.toml:2", "\"a\" is used already", "vaguemestre.toml:1"]);
    let lost = Setup::beside_account(&target("a", "[\"fast/marie\"]"));
    lost.tells(Weight::Note, &["delivery.targets[1] \"a\".feeds", "\"fast/marie\" matches no feed"]);
}

#[test]
fn a_target_is_handed_documents_in_exactly_one_way() {
    let table = |name: &str, way: &str| format!("[[delivery.targets]]\nname = \"{name}\"\nfeeds = [\"*\"]\n{way}\n");
    let command =
        "command = [\"/usr/bin/integrer\", \"--de={feed}\", \"{path}\", \"{ \\\"id\\\": 1 }\"]\ntimeout = \"5m\"";
    let webhook = "webhook = \"https://a.fr/documents?client=7\"\nsecret = { file = \"s\" }";
    let setup =
        Setup::beside_account(&[table("a", command), table("b", webhook), table("c", "inbox = \"in\"")].concat());
    let targets = setup.settings().delivery.targets;
    let arguments = ["/usr/bin/integrer", "--de={feed}", "{path}", "{ \"id\": 1 }"].map(str::to_owned).to_vec();
    let program = Program { command: arguments, timeout: Duration::from_secs(300) };
    assert_eq!(targets[0].handover, Handover::Command(program));
    let hook = Webhook {
        webhook: "https://a.fr/documents?client=7".to_owned(),
        timeout: Duration::from_secs(60),
        secret: Some(SecretRef::File(setup.path("s"))),
    };
    assert_eq!(targets[1].handover, Handover::Webhook(hook));
    assert_eq!(inbox(&targets[2]).inbox, setup.path("in"));

    let none = Setup::beside_account(&table("a", ""));
    none.tells(Weight::Error, &["delivery.targets[1] \"a\"", "exactly one of inbox, command and webhook"]);
    let two = Setup::beside_account(&table("a", "inbox = \"in\"\nwebhook = \"https://a.fr\""));
    two.tells(Weight::Error, &["delivery.targets[1] \"a\".webhook", "inbox and webhook exclude", "exactly one"]);
    assert_eq!(two.load().findings.len(), 1, "{}", told(&two.load()));
    let idle = Setup::beside_account(&table("a", "webhook = \"http://127.0.0.1:1\"\nfile_mode = \"0640\""));
    idle.tells(Weight::Note, &["delivery.targets[1] \"a\".file_mode", "belongs to inbox", "remove it"]);
}

#[test]
fn what_is_rendered_reads_back_to_the_same_settings() {
    let full = format!(
        "[state]\ndirectory = \"s\"\nreserve = \"5MB\"\n[http]\nproxy = \"http://a:1\"\nno_proxy = [\"b.fr\"]\nca_certificate = \"ca.pem\"\n\
         [schedule]\ninterval = \"1h30m\"\n[fast]\nenvironment = \"demo\"\nmaintenance = [\"04:00-04:30\", \"23:30-00:30\"]\n\
         {ACCOUNT}label = \"Ville « d'Exemple »\"\nenabled = false\nkey = \"k.pem\"\ncertificate_password = {{ file = \"pw\" }}\nfirst_poll = \"skip\"\nfeeds = [\"chorus\"]\n\
         [[fast.accounts]]\nname = \"b\"\nsiren = \"732829320\"\ncertificate = \"b.p12\"\ncertificate_password = {{ env = \"B\" }}\n\
         [[delivery.targets]]\nname = \"t\"\nfeeds = [\"fast/b\", \"*/chorus\"]\ninbox = \"in\"\nfile_mode = \"0660\"\n\
         [[delivery.targets]]\nname = \"u\"\nfeeds = [\"*\"]\ncommand = [\"/bin/true\", \"{{path}}\"]\n\
         [[delivery.targets]]\nname = \"v\"\nfeeds = [\"*\"]\nwebhook = \"https://a.fr/x\"\nsecret = {{ env = \"V\" }}\n"
    );
    for text in [ACCOUNT, &full] {
        let settings = Setup::new(text).settings();
        let rendered = config::render(&settings);
        let again = Setup::new(&rendered);
        assert_eq!(again.settings(), settings, "{rendered}");
        assert_eq!(config::render(&again.settings()), rendered);
    }
    let rendered = config::render(&Setup::new(ACCOUNT).settings());
    for key in [
        "reserve",
        "avoid_hour",
        "connections",
        "no_proxy",
        "connector",
        "guard",
        "keep",
        "file_mode",
        "level",
        "first_poll",
    ] {
        assert!(rendered.contains(&format!("{key} = ")), "{key} is a default that is not told:\n{rendered}");
    }
}

#[test]
fn a_large_installation_is_read_quickly_and_whole() {
    let account = |number: u32| {
        format!("[[fast.accounts]]\nname = \"a{number}\"\nsiren = \"{number:09}\"\ncertificate = \"a.p12\"\n")
    };
    let text: String = (0..2000).map(account).collect();
    let settings = Setup::new(&text).load().settings.unwrap();
    assert_eq!(settings.fast.unwrap().accounts.len(), 2000);
}

#[test]
fn secrets_are_places_as_they_were_written() {
    let setup = Setup::new(&format!("{ACCOUNT}[fast.accounts.certificate_password]\nfile = \"pw\"\n"));
    let password = setup.settings().fast.unwrap().accounts[0].certificate_password.clone();
    assert_eq!(password, Some(SecretRef::File(setup.path("pw"))));
}
