//! Section 3 of the contract: what a configuration may say, and what is said about a wrong one.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use vaguemestre::config::{self, FirstPoll, Loaded, Patterns, SecretRef, Settings, Weight};
use vaguemestre::feed::{FeedName, Kind};

const ACCOUNT: &str = "[[fast.accounts]]\nname = \"mairie\"\nsiren = \"552032534\"\ncertificate = \"mairie.p12\"\n";

/// A configuration in a folder of its own.
struct Setup {
    folder: TempDir,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// With `main` as the main file.
    fn new(main: &str) -> Self {
        let setup = Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() };
        setup.write("vaguemestre.toml", main);
        setup
    }

    /// With a main file that holds `text` and one account that is right.
    fn beside_account(text: &str) -> Self {
        Self::new(&format!("{text}\n{ACCOUNT}"))
    }

    fn file(self, name: &str, text: &str) -> Self {
        self.write(&format!("conf.d/{name}"), text);
        self
    }

    fn variable(mut self, name: &str, text: &str) -> Self {
        self.environment.push((name.to_owned(), text.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn load(&self) -> Loaded {
        config::load(&self.path("vaguemestre.toml"), self.environment.iter().cloned())
    }

    /// The settings of a configuration about which there is nothing to say.
    fn settings(&self) -> Settings {
        let loaded = self.load();
        assert!(loaded.findings.is_empty(), "{}", told(&loaded));
        loaded.settings.unwrap()
    }

    /// Asserts that a finding of `weight` holds all of `words` in its line.
    #[track_caller]
    fn tells(&self, weight: Weight, words: &[&str]) {
        let loaded = self.load();
        let line = |finding: &config::Finding| words.iter().all(|word| finding.to_string().contains(word));
        let found = loaded.findings.iter().any(|finding| finding.weight == weight && line(finding));
        assert!(found, "no {weight} with {words:?} in:\n{}", told(&loaded));
        let errors = loaded.findings.iter().any(|finding| finding.weight == Weight::Error);
        assert_eq!(loaded.settings.is_none(), errors, "errors, and only errors, withhold the settings");
    }
}

fn told(loaded: &Loaded) -> String {
    loaded.findings.iter().map(|finding| format!("{finding}\n")).collect()
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
    assert_eq!(fast.maintenance, ["04:05-04:15"]);
    let account = &fast.accounts[0];
    assert_eq!(account.certificate, setup.path("mairie.p12"), "relative to the file that names it");
    assert_eq!(account.feeds, Kind::ALL);
    assert!(account.enabled && account.first_poll == FirstPoll::Collect);
    let target = &settings.delivery.targets[0];
    assert_eq!((target.name.as_str(), target.file_mode), ("inbox", 0o640));
    assert_eq!(target.inbox, Path::new("/var/lib/vaguemestre/inbox"));
    assert!(target.wants(&"fast/mairie/chorus".parse().unwrap()));
}

#[test]
fn the_shipped_file_says_the_defaults() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let main = std::fs::read_to_string(shipped.join("vaguemestre.toml")).unwrap();
    let explained = Setup::new(&main).file("mairie.toml", ACCOUNT);
    let silent = Setup::new("").file("mairie.toml", ACCOUNT);
    let (mut explained, silent) = (explained.settings(), silent.settings());
    let accounts = |settings: &Settings| settings.fast.clone().unwrap().accounts;
    explained.fast.as_mut().unwrap().accounts = accounts(&silent);
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
    let setup = Setup::new(&uncommented("vaguemestre.toml")).file("fast.toml", &uncommented("conf.d/fast.toml"));
    let settings = setup.settings();
    let fast = settings.fast.unwrap();
    assert_eq!(fast.base_url, "https://parapheur.example.fr");
    assert_eq!(fast.proxy.as_deref(), Some("http://other-proxy.example.fr:3128"));
    assert_eq!(fast.accounts[0].key, Some(setup.path("conf.d/mairie.key")));
    assert_eq!(settings.delivery.targets[0].name, "finances");
}

#[test]
fn every_wrong_global_value_is_an_error_that_names_file_line_key_and_remedy() {
    for (section, line, value, remedy) in [
        ("state", "reserve = \"12 potatoes\"", "12 potatoes", "\"100MiB\""),
        ("state", "reserve = 512", "512 is a number, not a text", "\"100MiB\""),
        ("state", "directory = 1", "1 is a number", "path"),
        ("state", "directory = \"\"", "\"\"", "path"),
        ("schedule", "interval = \"30\"", "\"30\" is a number without its unit", "\"30m\""),
        ("schedule", "interval = 1800", "1800", "\"30m\""),
        ("schedule", "interval = \"29m\"", "\"29m\"", "\"30m\""),
        ("schedule", "interval = \"25h\"", "\"1d1h\"", "\"1d\""),
        ("schedule", "jitter = \"31m\"", "\"31m\"", "\"30m\""),
        ("schedule", "jitter = \"59s\"", "\"59s\"", "\"1m\""),
        ("schedule", "avoid_hour = \"30s\"", "\"30s\"", "\"1m\""),
        ("schedule", "avoid_hour = \"30m\"", "\"30m\" is too long", "25m"),
        ("http", "proxy = \"socks5://proxy:1080\"", "socks5://proxy:1080", "http or https"),
        ("http", "no_proxy = [\"https://a.fr\"]", "https://a.fr", "hosts"),
        ("http", "no_proxy = \"a.fr\"", "\"a.fr\" is a text, not a list", "hosts"),
        ("http", "connections = 0", "0 is out of bounds", "from 1 to"),
        ("http", "connections = \"64\"", "\"64\" is a text", "without quotes"),
        ("http", "connections = 99999999999999999999", "number with decimals", "whole number"),
        ("fast", "environment = \"prod\"", "\"prod\"", "\"production\" or \"demo\""),
        ("fast", "base_url = \"http://a.fr\"", "plain http to another machine", "this machine only"),
        ("fast", "base_url = \"https://a.fr?x=1\"", "query", "query"),
        ("fast", "connector = \"soap\"", "\"soap\" is not yet supported by this version", "\"rest\""),
        ("fast", "connector = \"ftp\"", "\"ftp\"", "\"rest\""),
        ("fast", "maintenance = [\"4h\", \"12:00-25:00\"]", "\"12:00-25:00\" has an end", "\"04:05-04:15\""),
        ("fast", "maintenance = []", "not covered", "\"04:05-04:15\""),
        ("fast", "maintenance = [\"04:06-05:00\"]", "not covered", "\"04:05-04:15\""),
        ("fast", "maintenance = [\"05:00-04:30\"]", "less than an hour", "shorten"),
        ("fast", "guard = \"29s\"", "\"29s\"", "\"30s\""),
        ("fast", "timeout = \"0s\"", "\"0s\" is too short", "100ms"),
        ("fast", "max_document = \"0\"", "\"0\" is too small", "at least 1"),
        ("fast", "concurrency = 4.5", "4.5 is a number with decimals", "whole number"),
        ("archive", "keep = \"forever\"", "\"forever\"", "\"30m\""),
        ("log", "format = \"xml\"", "\"xml\"", "\"auto\", \"json\" or \"text\""),
        ("log", "level = true", "true is true or false, not a text", "\"info\""),
    ] {
        let setup = Setup::beside_account(&format!("# first line\n[{section}]\n{line}"));
        let key = format!("vaguemestre.toml:3: {section}.{}: ", line.split(' ').next().unwrap());
        setup.tells(Weight::Error, &[&key, value, remedy]);
        assert_eq!(setup.load().findings.len(), 1, "one fault, one finding:\n{}", told(&setup.load()));
    }
}

#[test]
fn every_fault_in_an_account_s_table_is_a_problem_of_that_account_alone() {
    for (line, key, value, remedy) in [
        ("siren = \"12345678\"", "siren", "\"12345678\" is not a SIREN", "nine digits"),
        ("siren = 123456789", "siren", "123456789 is a number", "in quotes"),
        ("certificat = \"x\"", "certificat", "unknown key", "`certificate`"),
        ("enabled = \"yes\"", "enabled", "\"yes\" is a text", "true or false"),
        ("feeds = []", "feeds", "empty", "\"chorus\""),
        ("feeds = [\"chorus\", \"pes\"]", "feeds", "\"pes\"", "\"pes-retour\""),
        ("feeds = [\"chorus\", \"chorus\"]", "feeds", "\"chorus\" is listed twice", "once"),
        ("first_poll = \"forget\"", "first_poll", "\"forget\"", "\"collect\" or \"skip\""),
        ("label = \"a\\nb\"", "label", "one line", "one line"),
        ("connector = \"webdav\"", "connector", "\"webdav\" is not yet supported", "\"rest\""),
        ("circuits = [\"PES\"]", "circuits", "not yet supported by this version", "remove it"),
        ("certificate_password = \"hunter2\"", "certificate_password", "a text", "never inline"),
        ("certificate_password = { fil = \"x\" }", "certificate_password", "\"fil\"", "file"),
        ("certificate_password = { file = \"x\", env = \"Y\" }", "certificate_password", "exactly one", "env"),
        ("certificate_password = {}", "certificate_password", "exactly one", "env"),
        ("certificate_password = { credential = \"../x\" }", "certificate_password", "not a path", "credential"),
    ] {
        let name = line.split(' ').next().unwrap();
        let bad: String = ACCOUNT
            .lines()
            .filter(|given| !given.starts_with(&format!("{name} ")))
            .map(|given| format!("{given}\n"))
            .collect();
        let bad = bad.replace("mairie\"", "other\"").replace("552032534", "732829320");
        let setup = Setup::new(&format!("{ACCOUNT}{bad}{line}\n"));
        let place = format!("fast.accounts[2] \"other\".{key}: ");
        setup.tells(Weight::Problem, &["vaguemestre.toml:", &place, value, remedy]);
        let loaded = setup.load();
        assert_eq!(loaded.findings.len(), 1, "{}", told(&loaded));
        assert!(!told(&loaded).contains("hunter2"), "a secret is never shown");
        let fast = loaded.settings.unwrap().fast.unwrap();
        assert_eq!(fast.accounts.len(), 1);
        assert_eq!(fast.unusable[0].name, "other");
        assert!(fast.unusable[0].problem.starts_with(key), "{}", fast.unusable[0].problem);
    }
}

#[test]
fn an_account_that_lacks_what_it_needs_is_a_problem_for_each_missing_key() {
    let setup = Setup::new(&format!("{ACCOUNT}[[fast.accounts]]\n"));
    for key in ["name", "siren", "certificate"] {
        setup.tells(Weight::Problem, &["vaguemestre.toml:5: ", &format!("fast.accounts[2].{key}: missing"), "add it"]);
    }
    assert_eq!(setup.load().settings.unwrap().fast.unwrap().unusable[0].name, "accounts[2]");
}

#[test]
fn a_bad_name_is_a_problem_located_by_its_number() {
    let setup =
        Setup::new(&format!("{ACCOUNT}{}", ACCOUNT.replace("mairie", "La Mairie").replace("552032534", "732829320")));
    setup.tells(Weight::Problem, &["fast.accounts[2] \"La Mairie\".name: ", "cannot be a name", "lower-case"]);
}

#[test]
fn a_wrong_check_digit_is_a_note() {
    let setup = Setup::new(&ACCOUNT.replace("552032534", "552032535"));
    setup.tells(Weight::Note, &["fast.accounts[1] \"mairie\".siren: ", "check digit", "552032535"]);
    assert_eq!(setup.load().settings.unwrap().fast.unwrap().accounts.len(), 1);
}

#[test]
fn no_account_at_all_is_an_error() {
    Setup::new("").tells(Weight::Error, &["fast.accounts", "no account", "[[fast.accounts]]"]);
    let bad = ACCOUNT.replace("552032534", "1");
    Setup::new(&bad).tells(Weight::Error, &["fast.accounts", "no account is well-formed"]);
}

#[test]
fn accounts_of_all_files_add_up_and_their_names_are_unique() {
    let other = ACCOUNT.replace("mairie\"", "ccas\"").replace("552032534", "732829320");
    let setup = Setup::new(ACCOUNT).file("ccas.toml", &other);
    let names: Vec<String> =
        setup.settings().fast.unwrap().accounts.iter().map(|account| account.name.clone()).collect();
    assert_eq!(names, ["mairie", "ccas"]);

    let twice = Setup::new(ACCOUNT).file("b.toml", &ACCOUNT.replace("552032534", "732829320"));
    twice.tells(Weight::Error, &["conf.d/b.toml:2", "\"mairie\" is used already", "vaguemestre.toml:1"]);
}

#[test]
fn one_siren_and_kind_belongs_to_one_account() {
    let other = ACCOUNT.replace("mairie\"", "ccas\"");
    let twice = Setup::new(&format!("{ACCOUNT}{other}"));
    twice.tells(
        Weight::Error,
        &["fast.accounts[2] \"ccas\".siren", "552032534", "chorus", "fast.accounts[1] \"mairie\""],
    );

    let shared = format!("{ACCOUNT}feeds = [\"chorus\"]\n{other}feeds = [\"acquittements\", \"pes-retour\"]\n");
    assert_eq!(Setup::new(&shared).settings().fast.unwrap().accounts.len(), 2);
}

#[test]
fn later_sections_are_named_as_such_and_unknown_ones_get_a_suggestion() {
    for section in ["douane", "piste", "entreprise", "token", "admin", "alerts"] {
        let setup = Setup::new(&format!("{ACCOUNT}[{section}]\nanything = 1\n"));
        setup.tells(Weight::Error, &[&format!("vaguemestre.toml:5: {section}: "), "not yet supported by this version"]);
    }
    Setup::beside_account("[shedule]").tells(Weight::Error, &["shedule: unknown key", "`schedule`"]);
    Setup::beside_account("[schedule]\njiter = \"5m\"")
        .tells(Weight::Error, &["schedule.jiter: unknown key", "`jitter`"]);
    Setup::beside_account("interval = \"1h\"").tells(Weight::Error, &[":1: interval: unknown key", "[schedule]"]);
    Setup::beside_account("[log]\nwhatever = 1").tells(Weight::Error, &["log.whatever: unknown key", "format, level"]);
    Setup::beside_account("schedule = 1").tells(Weight::Error, &["schedule: 1 where a table belongs", "[schedule]"]);
}

#[test]
fn one_table_where_a_list_belongs_is_an_error() {
    let setup = Setup::new(&ACCOUNT.replace("[[fast.accounts]]", "[fast.accounts]"));
    setup.tells(Weight::Error, &["fast.accounts: ", "list of tables", "[[fast.accounts]]"]);
}

#[test]
fn all_faults_of_all_files_are_told_at_once() {
    let setup =
        Setup::new(&format!("[state]\nreserve = 1\n[fast]\nguard = \"x\"\nmaintenence = []\n{ACCOUNT}siren2 = 1\n"))
            .file("a.toml", "[log]\nlevel = \"loud\"\nthis is not TOML\n[archive]\nkeep = \"x\"\n")
            .file("b.toml", "[http]\nproxy = \"x\"\n")
            .variable("VAGUEMESTRE__HTTP__CONNECTIONS", "many");
    for (weight, word) in [
        (Weight::Error, "vaguemestre.toml:2: state.reserve"),
        (Weight::Error, "vaguemestre.toml:4: fast.guard"),
        (Weight::Error, "vaguemestre.toml:5: fast.maintenence"),
        (Weight::Problem, "vaguemestre.toml:10: fast.accounts[1] \"mairie\".siren2"),
        (Weight::Error, "a.toml:2: log.level"),
        (Weight::Error, "a.toml:3"),
        (Weight::Error, "a.toml:5: archive.keep"),
        (Weight::Error, "b.toml:2: http.proxy"),
        (Weight::Error, "VAGUEMESTRE__HTTP__CONNECTIONS"),
    ] {
        setup.tells(weight, &[word]);
    }
    let loaded = setup.load();
    assert!(loaded.findings.is_sorted_by_key(|finding| finding.weight), "heaviest first");
    assert!(loaded.findings.iter().all(|finding| !finding.to_string().contains('\n')), "one line each");
    assert_eq!(loaded.files.len(), 3);
}

#[test]
fn a_missing_or_unreadable_file_is_an_error_with_a_remedy() {
    let setup = Setup::new("");
    std::fs::remove_file(setup.path("vaguemestre.toml")).unwrap();
    let setup = setup.file("a.toml", "[log]\nlevel = \"loud\"");
    setup.tells(Weight::Error, &["vaguemestre.toml: cannot be read", "--config"]);
    setup.tells(Weight::Error, &["a.toml:2: log.level"]);
    assert_eq!(setup.load().findings.len(), 2, "an account may well be in the missing file");

    let setup = Setup::new(ACCOUNT);
    std::fs::create_dir_all(setup.path("conf.d/x.toml")).unwrap();
    setup.tells(Weight::Error, &["x.toml: cannot be read"]);
    std::fs::write(setup.path("vaguemestre.toml"), b"\xff").unwrap();
    setup.tells(Weight::Error, &["vaguemestre.toml: not UTF-8"]);
}

#[test]
fn hidden_and_other_files_of_conf_d_do_not_count() {
    let setup = Setup::new(ACCOUNT).file(".a.toml", "x").file("a.toml.bak", "x").file("readme", "x");
    setup.settings();
}

#[test]
fn conf_d_overrides_the_main_file_but_not_itself() {
    let setup = Setup::beside_account("[schedule]\ninterval = \"1h\"").file("a.toml", "[schedule]\ninterval = \"2h\"");
    assert_eq!(setup.settings().schedule.interval.as_secs(), 7200);

    let same = setup.file("b.toml", "[schedule]\ninterval = \"120m\"");
    assert_eq!(same.settings().schedule.interval.as_secs(), 7200, "the same, written otherwise");

    let other = same.file("c.toml", "\n[schedule]\ninterval = \"3h\"");
    other.tells(Weight::Error, &["c.toml:3: schedule.interval", "\"3h\"", "\"2h\"", "a.toml:2"]);
}

#[test]
fn the_environment_overrides_files_and_is_typed_by_the_keys() {
    let setup = Setup::beside_account("[http]\nconnections = 1")
        .variable("VAGUEMESTRE__HTTP__CONNECTIONS", "12")
        .variable("VAGUEMESTRE__SCHEDULE__AVOID_HOUR", "90s")
        .variable("VAGUEMESTRE__STATE__RESERVE", "1000")
        .variable("VAGUEMESTRE__STATE__DIRECTORY", "state")
        .variable("VAGUEMESTRE__FAST__MAINTENANCE", "04:00-04:30, 12:00-13:00")
        .variable("VAGUEMESTRE__HTTP__NO_PROXY", "a.fr,b.fr")
        .variable("VAGUEMESTRE_CONFIG", "/elsewhere")
        .variable("PATH", "/bin");
    let settings = setup.settings();
    assert_eq!(settings.http.connections, 12);
    assert_eq!(settings.schedule.avoid_hour.as_secs(), 90);
    assert_eq!(settings.state.reserve, 1000);
    assert_eq!(settings.state.directory, setup.path("state"));
    assert_eq!(settings.fast.unwrap().maintenance, ["04:00-04:30", "12:00-13:00"]);
    assert_eq!(settings.http.no_proxy, ["a.fr", "b.fr"]);
}

#[test]
fn wrong_variables_are_errors_that_name_them() {
    for (name, text, words) in [
        ("VAGUEMESTRE__SCHEDULE__INTERVALL", "1h", ["unknown variable", "VAGUEMESTRE__SCHEDULE__INTERVAL?"]),
        ("VAGUEMESTRE__SCHEDULE__INTERVAL", "1 hour", ["\"1 hour\"", "\"30m\""]),
        ("VAGUEMESTRE__SCHEDULE__INTERVAL", "10m", ["\"10m\" is less", "\"30m\""]),
        ("VAGUEMESTRE__HTTP__CONNECTIONS", "x", ["\"x\" is a text", "whole number"]),
        ("VAGUEMESTRE__FAST__ACCOUNTS__0__NAME", "x", ["cannot set arrays of tables", "[[fast.accounts]]"]),
        ("VAGUEMESTRE__DOUANE__MARGIN", "x", ["not yet supported", "remove"]),
        ("VAGUEMESTRE__QUITE__OTHER_THING", "x", ["unknown variable", "VAGUEMESTRE__SECTION__KEY"]),
    ] {
        Setup::beside_account("")
            .variable(name, text)
            .tells(Weight::Error, &[&format!("error: {name}: "), words[0], words[1]]);
    }
}

#[test]
fn passwords_in_addresses_are_refused_and_not_shown() {
    for line in ["[http]\nproxy = \"http://jean:s3same@proxy:1\"", "[fast]\nbase_url = \"https://jean:s3same@a.fr\""] {
        let setup = Setup::beside_account(line);
        setup.tells(Weight::Error, &["user or password", "without user"]);
        assert!(!told(&setup.load()).contains("s3same"));
    }
    let setup = Setup::beside_account("").variable("VAGUEMESTRE__HTTP__PROXY", "jean:s3same@proxy");
    assert!(!told(&setup.load()).contains("s3same"));
    let setup = Setup::new(&format!("{ACCOUNT}certificate_password = \"s3same\n"));
    assert!(!told(&setup.load()).contains("s3same"), "nor by the syntax error of a line that holds one");
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
    assert_eq!(targets[1].inbox, setup.path("conf.d/invoices"));
    let account = Patterns::parse(vec!["fast/mairie".to_owned()]).unwrap();
    assert!(account.matches(&"fast/mairie/chorus".parse().unwrap()));
    assert!(!account.matches(&"fast/mairie-2/chorus".parse().unwrap()));

    let twice = Setup::beside_account(&target("a", "[\"*\"]")).file("b.toml", &target("a", "[\"*\"]"));
    twice.tells(Weight::Error, &["b.toml:2", "\"a\" is used already", "vaguemestre.toml:1"]);
    let lost = Setup::beside_account(&target("a", "[\"fast/marie\"]"));
    lost.tells(Weight::Note, &["delivery.targets[1] \"a\".feeds", "\"fast/marie\" matches no feed"]);
}

#[test]
fn a_fault_in_a_target_is_an_error() {
    for (line, words) in [
        ("file_mode = 640", ["file_mode", "in quotes"]),
        ("file_mode = \"0666\"", ["file_mode", "every user of the machine"]),
        ("command = [\"/bin/true\"]", ["command", "not yet supported by this version"]),
        ("webhook = \"https://a.fr\"", ["webhook", "not yet supported by this version"]),
        ("filemode = \"0640\"", ["filemode: unknown key", "`file_mode`"]),
        ("feeds = [\"fast/[\"]", ["feeds", "not a pattern"]),
        ("inbox = \"/var/lib/vaguemestre/archive/x\"", ["inbox", "the daemon's own files"]),
    ] {
        let name = line.split(' ').next().unwrap();
        let rest: String = ["name = \"a\"\n", "feeds = [\"*\"]\n", "inbox = \"in\"\n"]
            .iter()
            .filter(|given| !given.starts_with(name))
            .copied()
            .collect();
        Setup::beside_account(&format!("[[delivery.targets]]\n{rest}{line}"))
            .tells(Weight::Error, &["delivery.targets[1] \"a\".", words[0], words[1]]);
    }
}

#[test]
fn what_is_rendered_reads_back_to_the_same_settings() {
    let full = format!(
        "[state]\ndirectory = \"s\"\nreserve = \"5MB\"\n[http]\nproxy = \"http://a:1\"\nno_proxy = [\"b.fr\"]\nca_certificate = \"ca.pem\"\n\
         [schedule]\ninterval = \"1h30m\"\n[fast]\nenvironment = \"demo\"\nmaintenance = [\"04:00-04:30\", \"23:30-00:30\"]\n\
         {ACCOUNT}label = \"Ville « d'Exemple »\"\nenabled = false\nkey = \"k.pem\"\ncertificate_password = {{ file = \"pw\" }}\nfirst_poll = \"skip\"\nfeeds = [\"chorus\"]\n\
         [[fast.accounts]]\nname = \"b\"\nsiren = \"732829320\"\ncertificate = \"b.p12\"\ncertificate_password = {{ env = \"B\" }}\n\
         [[delivery.targets]]\nname = \"t\"\nfeeds = [\"fast/b\", \"*/chorus\"]\ninbox = \"in\"\nfile_mode = \"0660\"\n"
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
