//! Each kind of wrong configuration, and what is said about it.

use vaguemestre::config::Weight;

use super::{ACCOUNT, Setup, told};

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
        ("schedule", "avoid_hour = \"30m\"", "\"30m\" is too long", "29m"),
        ("http", "proxy = \"socks5://proxy:1080\"", "socks5://proxy:1080", "http://proxy.example.fr:3128"),
        ("http", "no_proxy = [\"https://a.fr\"]", "https://a.fr", "hosts"),
        ("http", "no_proxy = \"a.fr\"", "\"a.fr\" is a text, not a list", "hosts"),
        ("http", "connections = 0", "0 is out of bounds", "from 1 to"),
        ("http", "connections = \"64\"", "\"64\" is a text", "without quotes"),
        ("http", "connections = 99999999999999999999", "number with decimals", "whole number"),
        ("fast", "environment = \"prod\"", "\"prod\"", "\"production\" or \"demo\""),
        ("fast", "base_url = \"http://a.fr\"", "plain http to another machine", "this machine only"),
        ("fast", "base_url = \"https://a.fr?x=1\"", "query", "query"),
        ("fast", "connector = \"ftp\"", "\"ftp\" is not known here", "\"soap\""),
        ("fast", "connector = \"ftp\"", "\"ftp\"", "\"rest\""),
        ("fast", "maintenance = [\"4h\", \"12:00-25:00\"]", "\"12:00-25:00\" holds something", "\"04:05-04:15\""),
        ("fast", "maintenance = []", "not covered", "\"04:05-04:15\""),
        ("fast", "maintenance = [\"04:06-05:00\"]", "not covered", "\"04:05-04:15\""),
        ("fast", "maintenance = [\"00:00-24:00\"]", "leave no time", "shorten"),
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
        ("connector = \"dav\"", "connector", "\"dav\" is not known here", "\"webdav\""),
        ("circuits = [\"PES/2026\"]", "circuits", "\"PES/2026\" is not the name of a circuit", "[\"PES\"]"),
        ("release = \"never\"", "release", "\"never\" is not known here", "\"delivered\""),
        ("feeds = [\"signes\"]", "feeds", "\"signes\" is not to be had over REST", "\"webdav\""),
        ("feeds = [\"signes\"]\nconnector = \"soap\"", "circuits", "listed circuit by circuit", "name the circuits"),
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
fn one_siren_and_kind_belongs_to_one_account() {
    let other = ACCOUNT.replace("mairie\"", "ccas\"");
    let twice = Setup::new(&format!("{ACCOUNT}{other}"));
    twice.tells(
        Weight::Error,
        &["fast.accounts[2] \"ccas\".siren", "552032534", "chorus", "fast.accounts[1] \"mairie\""],
    );

    let shared = format!("{ACCOUNT}feeds = [\"chorus\"]\n{other}feeds = [\"acquittements\", \"pes-retour\"]\n");
    assert_eq!(Setup::new(&shared).settings().fast.unwrap().accounts.len(), 2);

    // Over WebDAV both lie in the same folders, which may not be listed twice.
    let (webdav, first) = ("connector = \"webdav\"\nfeeds", "[\"acquittements\"]");
    let folders = format!("{ACCOUNT}{webdav} = {first}\n{other}{webdav} = [\"signes\"]\n");
    Setup::new(&folders).tells(Weight::Error, &["the folders of its circuits", "in the feeds of one account"]);
}

#[test]
fn keys_that_mean_nothing_to_the_interface_are_noted() {
    Setup::new(&format!("{ACCOUNT}circuits = [\"PES\"]\n"))
        .tells(Weight::Note, &["circuits", "REST knows no circuits"]);
    let soap = format!("{ACCOUNT}connector = \"soap\"\nrelease = \"delivered\"\n");
    Setup::new(&soap).tells(Weight::Note, &["release", "only over WebDAV"]);
}

#[test]
fn unknown_sections_and_keys_get_a_suggestion() {
    Setup::beside_account("[shedule]").tells(Weight::Error, &["shedule: unknown key", "`schedule`"]);
    Setup::beside_account("[schedule]\njiter = \"5m\"")
        .tells(Weight::Error, &["schedule.jiter: unknown key", "`jitter`"]);
    Setup::beside_account("interval = \"1h\"").tells(Weight::Error, &[":1: interval: unknown key", "[schedule]"]);
    Setup::beside_account("[log]\nwhatever = 1").tells(Weight::Error, &["log.whatever: unknown key", "format, level"]);
    Setup::beside_account("schedule = 1").tells(Weight::Error, &["schedule: 1 where a table belongs", "[schedule]"]);
}

#[test]
fn a_page_that_others_can_reach_is_noted_and_a_place_that_is_none_an_error() {
    for listen in ["127.0.0.1:9464", "[::1]:9464", "/run/vaguemestre/admin.sock"] {
        let setup = Setup::beside_account(&format!("[admin]\nlisten = \"{listen}\""));
        assert_eq!(setup.settings().admin.listen.unwrap().to_string(), listen);
        assert!(setup.load().findings.is_empty());
    }
    Setup::beside_account("[admin]\nlisten = \"0.0.0.0:9464\"")
        .tells(Weight::Note, &["admin.listen: ", "anyone who reaches it can read", "firewall"]);
    for listen in ["9464", "localhost:9464", "admin.sock"] {
        Setup::beside_account(&format!("[admin]\nlisten = \"{listen}\""))
            .tells(Weight::Error, &["admin.listen: ", listen, "is no place to listen at", "\"127.0.0.1:9464\""]);
    }
}

#[test]
fn one_table_where_a_list_belongs_is_an_error() {
    let setup = Setup::new(&ACCOUNT.replace("[[fast.accounts]]", "[fast.accounts]"));
    setup.tells(Weight::Error, &["fast.accounts: ", "list of tables", "[[fast.accounts]]"]);
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
fn who_is_told_alerts_has_a_name_and_exactly_one_way() {
    let alert = |lines: &str| Setup::new(&format!("{ACCOUNT}[[alerts]]\n{lines}\n"));
    alert("name = \"a\"").tells(Weight::Error, &["alerts[1] \"a\"", "exactly one of command and webhook"]);
    alert("command = [\"/bin/true\"]").tells(Weight::Error, &["alerts[1].name", "missing"]);
    alert("name = \"a\"\ncommand = [\"mail\"]").tells(Weight::Error, &["alerts[1] \"a\".command", "whole path"]);
    alert("name = \"a\"\ncommand = [\"/usr/bin/mail\", \"{subject}\"]")
        .tells(Weight::Error, &["{subject}, which stands for nothing", "{summary}"]);
    alert("name = \"a\"\nwebhook = \"https://a.fr/\"\nseverity = \"passing\"")
        .tells(Weight::Error, &["severity", "\"warning\" or \"error\""]);
    alert("name = \"a\"\ncommand = [\"/bin/true\"]\nsecret = { file = \"s\" }")
        .tells(Weight::Note, &["alerts[1] \"a\".secret", "no effect"]);
    Setup::beside_account("[alerts]\nname = \"a\"").tells(Weight::Error, &["alerts: ", "[[alerts]]"]);
    Setup::beside_account("[[alert]]\nname = \"a\"").tells(Weight::Error, &["alert: unknown key", "`alerts`"]);
    Setup::beside_account("")
        .variable("VAGUEMESTRE__ALERTS__NAME", "a")
        .tells(Weight::Error, &["cannot set arrays of tables", "[[alerts]]"]);
}

#[test]
fn a_fault_in_a_target_is_an_error() {
    for (line, words) in [
        ("file_mode = 640", ["file_mode", "in quotes"]),
        ("file_mode = \"0666\"", ["file_mode", "every user of the machine"]),
        ("inbox_stale = \"1\"", ["inbox_stale", "without its unit"]),
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
fn a_command_or_webhook_that_cannot_be_called_is_an_error() {
    for (line, words) in [
        ("command = []", ["command", "the list is empty"]),
        ("command = \"/bin/true {path}\"", ["command", "not a list"]),
        ("command = [\"integrer\"]", ["command", "\"integrer\" is not a whole path"]),
        ("command = [\"/opt/{feed}\"]", ["command", "does not say which program"]),
        ("command = [\"/bin/true\", \"--x={fichier}\"]", ["command", "holds {fichier}, which stands for nothing"]),
        ("command = [\"/bin/true\", \"{fichier}\"]", ["command", "{path}, {feed}, {remote_id}"]),
        ("webhook = \"http://a.fr\"", ["webhook", "plain http to another machine"]),
        ("webhook = \"https://jean:s3same@a.fr\"", ["webhook", "user or password"]),
        ("webhook = \"https://a.fr/#x\"", ["webhook", "fragment"]),
        ("webhook = \"https://a.fr\"\nsecret = \"s3same\"", ["secret", "never inline"]),
        ("webhook = \"https://a.fr\"\ntimeout = \"2h\"", ["timeout", "too long"]),
    ] {
        let setup = Setup::beside_account(&format!("[[delivery.targets]]\nname = \"a\"\nfeeds = [\"*\"]\n{line}"));
        setup.tells(Weight::Error, &["delivery.targets[1] \"a\".", words[0], words[1]]);
        assert_eq!(setup.load().findings.len(), 1, "{}", told(&setup.load()));
        assert!(!told(&setup.load()).contains("s3same"));
    }
}

#[test]
fn accounts_that_are_all_disabled_are_a_note() {
    let setup = Setup::new(&format!("{ACCOUNT}enabled = false\n"));
    setup.tells(Weight::Note, &["vaguemestre.toml:1: fast.accounts: ", "no account is enabled"]);
    assert!(!setup.load().settings.unwrap().fast.unwrap().accounts[0].enabled);
}

#[test]
fn keys_under_a_damaged_header_are_not_taken_for_those_of_the_table_before() {
    let other = ACCOUNT.replace("[[fast.accounts]]", "[[fast.accounts]").replace("552032534", "1");
    let setup = Setup::new(&format!("{ACCOUNT}{other}bogus = 1\n[log]\nlevel = \"loud\"\n"));
    setup.tells(Weight::Error, &["vaguemestre.toml:5: not TOML: "]);
    setup.tells(Weight::Error, &["vaguemestre.toml:11: log.level"]);
    assert_eq!(setup.load().findings.len(), 2, "{}", told(&setup.load()));
}
