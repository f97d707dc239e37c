//! T5: no token and no secret in any output, whatever happens and however much is said.

use vaguemestre::simulator::oauth::Script;

use super::processes::text;
use super::*;

/// Fails if `said` holds the password (plain or as in a form) or a token.
fn assert_silent(said: &str, place: &str) {
    for word in [PASSWORD, "p%26ss", "ss%2Bw", "p&ss", "token-1", "token-2", "token-3"] {
        assert!(!said.contains(word), "{place} holds {word}:\n{said}");
    }
}

#[tokio::test]
async fn no_secret_in_logs_at_trace_level_in_errors_in_config_or_in_tables() {
    let office = Office::open().await;
    office.configure("", "[token]\nsocket = \"token.sock\"");
    let echo = serde_json::json!({ "error": "invalid_grant", "error_description": format!("{PASSWORD} is wrong") });
    office.server.script(Script::Answer(400, Vec::new(), echo.to_string()));
    let daemon = office.start().await;
    let mut said = Vec::new();
    said.push(office.run(&["-vv", "token", ACCOUNT]).await);
    assert!(text(&said[0].stderr).contains("is wrong"), "{}", text(&said[0].stderr));
    assert!(office.run(&["token", "piste/sne"]).await.status.success());
    for command in [vec!["-vv", "status"], vec!["status", "--json"], vec!["config"], vec!["-vv", "check", "--online"]] {
        said.push(office.run(&command).await);
    }
    assert!(daemon.stop().await.success());
    for output in said {
        assert_silent(&text(&output.stdout), "standard output");
        assert_silent(&text(&output.stderr), "standard error");
    }
    for entry in std::fs::read_dir(office.folder.path()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_string_lossy().ends_with(".log") {
            assert_silent(&std::fs::read_to_string(entry.path()).unwrap(), "the log");
        }
    }
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(office.path("state/ledger.sqlite"));
    let mut ledger = sqlx::ConnectOptions::connect(&options).await.unwrap();
    for table in ["requests", "operator_actions", "accounts"] {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("SELECT * FROM {table}")));
        for row in rows.fetch_all(&mut ledger).await.unwrap() {
            for index in 0..sqlx::Row::len(&row) {
                let cell = sqlx::Row::try_get_unchecked::<Option<String>, _>(&row, index).unwrap().unwrap_or_default();
                assert_silent(&cell, table);
            }
        }
    }
}

#[tokio::test]
async fn debugging_a_manager_or_a_token_shows_neither() {
    let office = Office::open().await;
    let desk = office.manager().await;
    let token = desk.manager.token(ACCOUNT).await.unwrap();
    assert_silent(&format!("{token:?} {:?}", desk.manager), "Debug");
}
