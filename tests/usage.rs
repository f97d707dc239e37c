//! Slips at the command line and in the configuration are answered so that they can be corrected at once.
#![cfg(feature = "simulator")]

mod common;

use common::Town;

#[tokio::test]
async fn a_selector_that_matches_nothing_is_refused_and_not_answered_with_nothing() {
    let town = Town::with_interval("1s").await;
    let daemon = town.start().await;
    for command in ["plan", "status", "documents"] {
        let answer = town.run(&[command, "fast/marie"]).await;
        assert_eq!(answer.status.code(), Some(1), "{command}");
        assert!(answer.stdout.is_empty(), "{command}");
        let errors = String::from_utf8(answer.stderr).unwrap();
        assert!(errors.contains("no feed matches fast/marie"), "{command}: {errors}");
        for selector in ["fast/mairie", "*/chorus", "fast/*"] {
            assert!(town.run(&[command, selector]).await.status.success(), "{command} {selector}");
        }
    }
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn what_keeps_commands_from_starting_is_told_whole_and_in_the_order_of_the_file() {
    let town = Town::bare().await;
    let account = "[[fast.accounts]]\nname = \"Mairie\"\nsiren = \"12\"\ncertificate = \"x.pem\"\n";
    let text = format!("[schedule]\nintervall = \"1h\"\ninterval = \"5m\"\n{account}[log]\nlevel = \"loud\"\n");
    std::fs::write(town.config(), text).unwrap();
    for command in ["run", "status", "check"] {
        let answer = town.run(&[command]).await;
        assert_eq!(answer.status.code(), Some(78), "{command}");
        let told = String::from_utf8([answer.stderr, answer.stdout].concat()).unwrap();
        let lines: Vec<&str> = told.lines().filter_map(|line| line.split(": ").nth(1)).collect();
        let place = |number: u32| format!("{}:{number}", town.config().display());
        // Errors first, then the problems that one of them points to.
        assert_eq!(lines[..6], [2, 3, 4, 9, 5, 6].map(place), "{command}: {told}");
    }
}

#[tokio::test]
async fn the_manual_page_holds_every_command_with_its_options_and_points_to_no_page_that_does_not_exist() {
    let town = Town::bare().await;
    let page = String::from_utf8(town.run(&["man"]).await.stdout).unwrap();
    let commands = ["run", "check", "config", "poll", "plan", "status", "documents", "retry", "dismiss", "demo"];
    for command in commands.into_iter().chain(["completions", "man"]) {
        assert!(page.contains(&format!("\n.SS vaguemestre {command}\n")), "{command}: {page}");
    }
    for option in ["config", "online", "from", "for", "json", "state", "since", "accept", "again", "reason", "keep"] {
        assert!(page.contains(&format!("\\-\\-{option}\\fR")), "{option}: {page}");
    }
    let others: Vec<&str> = page.lines().filter(|line| line.contains("vaguemestre") && line.contains("(1)")).collect();
    assert!(others.is_empty(), "pages that do not exist: {others:?}");
}
