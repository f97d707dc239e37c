//! How the files and the environment come together.

use vaguemestre::config::Weight;

use super::{ACCOUNT, Setup};

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
    assert_eq!(settings.fast.unwrap().maintenance, ["04:00-04:30", "12:00-13:00"].map(|text| text.parse().unwrap()));
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
        ("VAGUEMESTRE__ADMIN__LISTEN", "x", ["\"x\" is no place", "\"127.0.0.1:9464\""]),
        ("VAGUEMESTRE__ENTREPRISE__SHARE", "0%", ["\"0%\" is out of bounds", "\"100%\""]),
        ("VAGUEMESTRE__DOUANE__MARGIN", "x", ["\"x\"", "\"30m\""]),
        ("VAGUEMESTRE__QUITE__OTHER_THING", "x", ["unknown variable", "VAGUEMESTRE__SECTION__KEY"]),
    ] {
        Setup::beside_account("")
            .variable(name, text)
            .tells(Weight::Error, &[&format!("error: {name}: "), words[0], words[1]]);
    }
}

#[test]
fn a_variable_with_an_odd_name_is_told_on_one_line() {
    let findings = Setup::new(ACCOUNT).variable("VAGUEMESTRE__FAST__\n\u{1b}[2J", "x").load().findings;
    let told: Vec<String> = findings.iter().map(ToString::to_string).filter(|it| it.contains("FAST__")).collect();
    assert!(matches!(&told[..], [one] if !one.contains(char::is_control)), "{told:?}");
}

#[test]
fn files_of_conf_d_count_in_the_order_of_their_names() {
    let names: Vec<String> = (10..40).map(|number| format!("a{number}")).collect();
    let mut setup = Setup::new("");
    for name in names.iter().rev() {
        let account =
            ACCOUNT.replace("mairie\"", &format!("{name}\"")).replace("552032534", &format!("5520325{}", &name[1..]));
        setup = setup.file(&format!("{name}.toml"), &account);
    }
    let accounts = setup.load().settings.unwrap().fast.unwrap().accounts;
    assert_eq!(accounts.iter().map(|account| account.name.clone()).collect::<Vec<_>>(), names);
}
