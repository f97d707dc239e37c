//! Resources and watches.

use std::fs;
use std::time::Duration;

use vaguemestre::config::{self, Finding, Group, Loaded, Pace, Weight};

use super::{Setup, told};

const DOUANE: &str = "[[douane.accounts]]\nname = \"siege\"\nusername = \"C\"\npassword = { file = \"pw\" }\n";
const RESOURCE: &str = "[[douane.resources]]\nname = \"suivi\"\naccount = \"siege\"\npath = \"/example/api\"\n";
const ENTREPRISE: &str = "[[entreprise.accounts]]\nname = \"marches\"\ntoken = { file = \"jwt\" }\ncontext = \"Marchés\"\n\
                          recipient = \"55203253400646\"\nobject = \"veille fournisseurs\"\n";
const WATCH: &str = "[[entreprise.watches]]\nname = \"ul\"\naccount = \"marches\"\npath = \"/v3/x/{siren}\"\n";

/// The finding about `key`.
#[track_caller]
fn about<'a>(loaded: &'a Loaded, key: &str) -> &'a Finding {
    let found = loaded.findings.iter().find(|finding| finding.place.key.ends_with(key));
    found.unwrap_or_else(|| panic!("nothing of {key} in:\n{}", told(loaded)))
}

fn watch(more: &str) -> String {
    format!("{ENTREPRISE}{WATCH}{more}\n")
}

#[test]
fn resources_and_watches_have_their_defaults_and_what_is_rendered_reads_back() {
    let text = format!(
        "{DOUANE}{RESOURCE}items = {{ id = \"/id\", path = \"/example/api/{{id}}\" }}\nignore = [\"/meta\"]\n{}",
        watch(
            "subjects = [\"552032534;dossier 7\", \"732 829 320\", \"# nobody\"]\nquery = { non_diffusables = \"true\" }"
        )
    );
    let settings = Setup::new(&text).settings();
    let suivi = &settings.douane.as_ref().unwrap().resources[0];
    assert_eq!((suivi.every, suivi.items.as_ref().unwrap().id.as_str()), (Duration::from_secs(1800), "/id"));
    let entreprise = settings.entreprise.as_ref().unwrap();
    assert_eq!((entreprise.base_url.as_str(), entreprise.share), ("https://entreprise.api.gouv.fr", 80));
    let ul = &entreprise.watches[0];
    assert_eq!((ul.group, ul.pace, ul.every.as_secs()), (Group::Json, Pace::Spread, 7 * 86_400));
    assert_eq!((ul.hours.to_string().as_str(), ul.timeout.as_secs()), ("00:00-24:00", 5));
    assert_eq!(ul.ignore, ["/meta", "/links"]);
    let members: Vec<(&str, Option<&str>)> =
        ul.members.iter().map(|it| (it.id.as_str(), it.object.as_deref())).collect();
    assert_eq!(members, [("552032534", Some("dossier 7")), ("732829320", None)]);
    let rendered = config::render(&settings);
    assert_eq!(Setup::new(&rendered).settings(), settings, "{rendered}");
}

#[test]
fn above_250_subjects_a_watch_works_by_night_unless_it_says_otherwise() {
    let setup =
        Setup::new(&watch("group = \"document\"\nsubjects = { file = \"list.txt\" }").replace("{siren}", "{id}"));
    let lines: Vec<String> = (0..251).map(|number| format!("n{number}")).collect();
    fs::write(setup.path("list.txt"), format!("\u{feff}# mine\r\n{}\r\n", lines.join("\r\n"))).unwrap();
    let settings = setup.settings();
    let watch = &settings.entreprise.as_ref().unwrap().watches[0];
    assert_eq!((watch.members.len(), watch.hours.to_string().as_str()), (251, "20:00-07:00"));
    assert_eq!(watch.timeout.as_secs(), 12, "documents take longer");
    assert_eq!(watch.members[0].id, "n0");
}

#[test]
fn subjects_at_fault_are_named_with_their_line_and_left_out() {
    let setup = Setup::new(&watch("subjects = { file = \"list.txt\" }"));
    fs::write(setup.path("list.txt"), "552032534\n552032543\n732829320;\n552032534\n123\n").unwrap();
    let loaded = setup.load();
    let problems: Vec<&String> =
        loaded.findings.iter().filter(|it| it.weight == Weight::Problem).map(|it| &it.what).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("list.txt:2: \"552032543\" is not a SIREN: its check digit is wrong"), "{problems:?}");
    assert!(problems[1].contains("list.txt:5"), "{problems:?}");
    assert_eq!(loaded.settings.unwrap().entreprise.unwrap().watches[0].members.len(), 2);
}

#[test]
fn a_fault_in_a_table_stops_that_resource_or_watch_alone() {
    for (text, key, words) in [
        (format!("{DOUANE}{RESOURCE}every = \"5m\"\n"), "every", "less than the platform demands"),
        (format!("{DOUANE}{}", RESOURCE.replace("siege", "siege2")), "account", "no account"),
        (format!("{DOUANE}{}", RESOURCE.replace("/example", "/../example")), "path", "leads upwards"),
        (watch("subjects = []"), "subjects", "nobody to ask about"),
        (watch("subjects = { file = \"none.txt\" }"), "subjects", "cannot be read"),
        (watch("subjects = [\"552032534\"]\nevery = \"30m\""), "every", "less than the platform demands"),
        (watch("subjects = [\"552032534\"]\nquery = { token = \"x\" }"), "query", "never here"),
        (watch(&format!("subjects = [\"552032534\"]\nobject = \"{}\"", "x".repeat(50))), "object", "fifty characters"),
    ] {
        let loaded = Setup::new(&text).load();
        let finding = about(&loaded, key);
        assert_eq!(finding.weight, Weight::Problem, "{finding}");
        assert!(finding.what.contains(words), "{finding}");
        let settings = loaded.settings.expect(words);
        let douane = settings.douane.map_or((0, 0), |it| (it.resources.len(), it.unusable_resources.len()));
        let entreprise = settings.entreprise.map_or((0, 0), |it| (it.watches.len(), it.unusable_watches.len()));
        let sum = (douane.0 + entreprise.0, douane.1 + entreprise.1);
        assert_eq!(sum, (0, 1), "{words}: out of use, and said to be");
    }
}

#[test]
fn a_recipient_that_is_no_siret_and_a_name_used_twice_are_told() {
    let wrong = Setup::new(&format!("{DOUANE}{}", ENTREPRISE.replace("0646", "0647"))).load();
    assert_eq!(about(&wrong, "recipient").weight, Weight::Problem);
    let twice = Setup::new(&format!("{DOUANE}{RESOURCE}{RESOURCE}")).load();
    assert_eq!(about(&twice, "name").weight, Weight::Error);
}

#[test]
fn a_platform_on_this_machine_may_be_asked_as_often_as_one_likes() {
    let text = format!(
        "[schedule]\ninterval = \"1s\"\n[douane]\ntoken_url = \"http://127.0.0.1:1/t\"\napi_url = \"http://localhost:2\"\n\
         {DOUANE}{RESOURCE}every = \"1s\"\n"
    );
    assert_eq!(Setup::new(&text).settings().douane.unwrap().resources[0].every.as_secs(), 1);
    let elsewhere = text.replace("http://localhost:2", "https://api.douane.gouv.fr");
    let loaded = Setup::new(&elsewhere).load();
    assert_eq!(about(&loaded, "schedule.interval").weight, Weight::Error);
}
