//! The page of `[admin] listen` as a browser shows it: Debian's Chromium, headless, without scripts.
//!
//! With `PAGE_SHOTS=FOLDER` the screenshots are left there to be looked at.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../common/mod.rs"]
mod common;

use std::path::Path;

use common::browse::wait_for;
use common::{SIREN, Town, complained, skip};
use serde_json::Value;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

/// Chromium under the names that Debian's packages give it.
fn chromium() -> Option<&'static str> {
    let runs =
        |name: &&str| std::process::Command::new(name).arg("--version").output().is_ok_and(|it| it.status.success());
    ["chromium", "chromium-headless-shell"].into_iter().find(runs)
}

#[tokio::test]
async fn the_page_is_readable_on_a_screen_and_a_telephone_by_day_and_by_night_and_asks_nobody_else() {
    let Some(chromium) = chromium() else {
        return skip("Debian's chromium or chromium-headless-shell is not installed");
    };
    let town = Town::bare().await;
    let tables = town.account("a-well", SIREN, Standing::Valid)
        + &town.account("b-denied", "213400010", Standing::Valid)
        + &town.account("c-shut", "213400036", Standing::Expired);
    town.configure("3s", "", &format!("[admin]\nlisten = \"127.0.0.1:0\"\n{tables}"));
    town.put_many(Kind::Chorus, 1, 12, 2000);
    let denied = Matcher::listing("213400010", Kind::PesRetour);
    town.platform.set_fault(denied, Fault::Status(403, "".into(), Vec::new()), Times::Always);
    let daemon = town.start().await;
    let address = daemon.wait_event("admin.opened").await["listen"].as_str().unwrap().to_owned();
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "12").await;
    town.wait_value("SELECT count(*) FROM feeds WHERE consecutive_failures >= 2", "4").await;
    wait_for(&address, "/", &["4 failing", "account fast/c-shut cannot work", "12 came in the last 30 days"]).await;

    let kept = std::env::var("PAGE_SHOTS").unwrap_or_default();
    let folder = tempfile::tempdir().unwrap();
    let folder = if kept.is_empty() { folder.path() } else { Path::new(&kept) };
    let look = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/look.py");
    let mut command = tokio::process::Command::new("python3");
    command.arg(look).arg(chromium).arg(folder).arg(format!("http://{address}/"));
    let output = tokio::time::timeout(common::PATIENCE, command.output()).await.expect("Chromium looks").unwrap();
    assert!(output.status.success(), "{}", complained(&output));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();

    let mut backgrounds = Vec::new();
    for view in seen["views"].as_array().unwrap() {
        for asked in view["requests"].as_array().unwrap() {
            assert!(asked.as_str().unwrap().starts_with(&format!("http://{address}/")), "{asked}: {view}");
        }
        assert_eq!((&view["complaints"], &view["failed"]), (&Value::Array(vec![]), &Value::Array(vec![])), "{view}");
        assert!(view["wide"].as_f64() <= view["width"].as_f64(), "it is wider than the screen: {view}");
        assert!(view["contrast"]["ratio"].as_f64().unwrap() >= 4.5, "WCAG 2.2, 1.4.3: {view}");
        backgrounds.push(view["background"].as_str().unwrap());
    }
    assert_eq!(backgrounds.len(), 4);
    assert!(backgrounds[0] != backgrounds[1], "by night it is dark: {backgrounds:?}");
    assert_eq!(seen["language"], "en");
    assert!(seen["print"].as_u64().unwrap() > 5000, "it can be printed");
    let told: Vec<(&str, &str)> = seen["told"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it[0].as_str().unwrap(), it[1].as_str().unwrap_or("")))
        .collect();
    let image = told.iter().find(|(role, _)| role.starts_with("im")).unwrap_or_else(|| panic!("{told:?}"));
    assert!(image.1.contains("Documents per day") && image.1.contains("12 came in the last 30 days"), "{image:?}");
    for said in [
        ("heading", "vaguemestre"),
        ("heading", "What needs someone"),
        ("searchbox", "Only feeds or accounts named"),
        ("button", "Show"),
        ("main", ""),
    ] {
        assert!(told.contains(&said), "{said:?}: {told:?}");
    }
    assert!(told.iter().filter(|(role, _)| *role == "table").count() >= 3, "{told:?}");
}
