//! Watches: every subject in its turn, one version per change, each call traceable, and nothing again that was refused.

use super::{Region, SIRENS, TOKEN, unites_legales};
use vaguemestre::simulator::Reply;
use vaguemestre::simulator::entreprise::error;

const DONE: &str = "SELECT count(*) FROM subjects WHERE status = 200";

#[tokio::test]
async fn every_subject_is_asked_about_and_every_call_is_a_row() {
    let region = Region::open().await;
    region.watch("100%", &unites_legales(&SIRENS, ""));
    let config = std::fs::read_to_string(region.town.config()).unwrap();
    std::fs::write(region.town.config(), config.replace("level = \"debug\"", "level = \"trace\"")).unwrap();
    let daemon = region.town.start().await;
    region.town.wait_value(DONE, "6").await;
    region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "6").await;
    let log: Vec<String> = daemon.log().iter().map(ToString::to_string).collect();
    assert!(daemon.stop().await.success());
    assert!(log.iter().any(|line| line.contains("document.stored")), "{log:?}");
    assert!(!log.iter().any(|line| line.contains(TOKEN)), "the token is in no line, even at level trace");
    let calls = region.entreprise.calls();
    assert_eq!(calls.len(), 6);
    for call in &calls {
        assert!(
            call.target.contains("recipient=55203253400646") && call.target.contains("context=March%C3%A9s%20publics")
        );
        assert!(call.token.as_deref() == Some(TOKEN) && !call.target.contains("token"), "{call:?}");
    }
    let row =
        region.town.query("SELECT account, context, recipient, object, status, request_id FROM calls LIMIT 1").await;
    assert_eq!(row[0][..5], ["entreprise/marches", "Marchés publics", "55203253400646", "veille fournisseurs", "200"]);
    assert!(row[0][5].starts_with("request-"), "{row:?}");
    assert_eq!(region.town.value("SELECT count(*) FROM calls").await, "6");
    let id = region.town.value("SELECT remote_id FROM documents ORDER BY remote_id LIMIT 1").await;
    assert!(id.starts_with("130025265@20"), "{id}");
}

#[tokio::test]
async fn one_version_is_kept_per_change_of_what_matters() {
    let region = Region::open().await;
    region.watch("100%", &unites_legales(&SIRENS[..2], "every = \"1s\"\nobject = \"suivi\""));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) >= 6 FROM calls WHERE status = 200", "1").await;
    assert_eq!(region.town.value("SELECT count(*) FROM documents").await, "2", "meta varies with each answer");
    region.entreprise.rename(SIRENS[0], "AUTRE NOM");
    region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "3").await;
    assert!(daemon.stop().await.success());
    assert_eq!(region.town.value("SELECT DISTINCT object FROM calls").await, "suivi");
}

#[tokio::test]
async fn documents_are_fetched_at_once_without_the_token_and_kept_when_their_bytes_change() {
    let region = Region::open().await;
    let watch = unites_legales(&SIRENS[..2], "group = \"document\"\nevery = \"2s\"")
        .replace("/v3/insee/sirene/unites_legales/{siren}", "/v4/urssaf/unites_legales/{siren}/attestation_vigilance");
    region.watch("100%", &watch);
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) >= 4 FROM calls WHERE status = 200", "1").await;
    // Another round may be under way: what it brings is a document only once its bytes have proved to be others.
    let rows = region.town.query("SELECT media_type FROM documents WHERE state IN ('stored', 'delivered')").await;
    assert_eq!(rows, [["application/pdf"], ["application/pdf"]]);
    region.entreprise.rename(SIRENS[1], "une autre attestation");
    region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "3").await;
    assert!(daemon.stop().await.success());
    let (fetched, with_token) = region.entreprise.documents();
    assert!(fetched >= 4 && with_token == 0, "{fetched} {with_token}");
}

#[tokio::test]
async fn answers_about_a_subject_are_recorded_and_failures_are_tried_again_later() {
    let region = Region::open().await;
    let path = |siren: &str| format!("/v3/insee/sirene/unites_legales/{siren}");
    region.entreprise.script(&path(SIRENS[0]), error(404, "01003", "Introuvable"));
    region.entreprise.script(&path(SIRENS[1]), error(451, "01005", "Non diffusible"));
    let waiting = serde_json::json!({"errors": [{"code": "04501", "title": "Analyse", "detail": "", "meta": {"retry_in": 172_800}}]});
    region.entreprise.script(&path(SIRENS[2]), Reply::json(502, &waiting));
    region.entreprise.script(&path(SIRENS[3]), Reply::json(206, &serde_json::json!({"data": {}})));
    region.watch("100%", &unites_legales(&SIRENS, ""));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) FROM subjects WHERE status IS NOT NULL", "6").await;
    assert!(daemon.stop().await.success());
    let answer = |siren: &str| format!("SELECT answer FROM subjects WHERE subject = '{siren}'");
    assert!(region.town.value(&answer(SIRENS[0])).await.contains("01003 Introuvable"));
    assert!(region.town.value(&answer(SIRENS[1])).await.contains("451"));
    let hours = |siren: &str| {
        format!(
            "SELECT round((julianday(next_at) - julianday(answered_at)) * 24) FROM subjects WHERE subject = '{siren}'"
        )
    };
    assert_eq!(region.town.value(&hours(SIRENS[2])).await, "48.0", "meta.retry_in");
    assert_eq!(region.town.value(&hours(SIRENS[3])).await, "1.0", "206: the rest comes later");
    assert_eq!(region.town.value("SELECT count(*) FROM documents").await, "2");
    assert_eq!(region.town.value("SELECT outcome FROM polls ORDER BY id LIMIT 1").await, "partial");
}

#[tokio::test]
async fn a_refused_token_stops_the_account_after_one_call_until_a_reload_brings_another() {
    let region = Region::open().await;
    region.secret("jwt", "an old token");
    region.watch("100%", &unites_legales(&SIRENS, ""));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT outcome FROM polls ORDER BY id LIMIT 1", "failed").await;
    let (status, code) = region.town.status().await;
    assert_eq!(code, Some(1), "{status}");
    assert!(status["accounts"][0]["problem"].as_str().unwrap().contains("renewed"), "{status}");
    assert_eq!(region.entreprise.calls().len(), 1);
    region.secret("jwt", TOKEN);
    daemon.signal("HUP");
    daemon.wait_event("config.reloaded").await;
    region.town.wait_value(DONE, "6").await;
    assert!(daemon.stop().await.success());
    assert_eq!(region.entreprise.calls().len(), 7);
}

#[tokio::test]
async fn a_wrong_path_or_a_missing_right_stops_the_watch_after_one_call_and_no_other() {
    for (path, words) in
        [("/v9/nothing/{siren}", "is not there"), ("/v4/dgfip/unites_legales/{siren}/attestation_fiscale", "right")]
    {
        let region = Region::open().await;
        let wrong = unites_legales(&SIRENS, "")
            .replace("\"ul\"", "\"faux\"")
            .replace("/v3/insee/sirene/unites_legales/{siren}", path);
        region.watch("100%", &format!("{wrong}{}", unites_legales(&SIRENS[..3], "")));
        let daemon = region.town.start().await;
        region.town.wait_value(&format!("{DONE} AND feed = 'entreprise/marches/ul'"), "3").await;
        region.town.wait_value("SELECT last_outcome FROM feeds WHERE feed = 'entreprise/marches/faux'", "failed").await;
        assert!(daemon.stop().await.success());
        let problem = region.town.value("SELECT problem FROM accounts WHERE account = 'entreprise/marches/faux'").await;
        assert!(problem.contains(words), "{problem}");
        let (status, code) = region.town.status().await;
        let shown = status["accounts"].as_array().unwrap().iter().any(|it| it["account"] == "entreprise/marches/faux");
        assert!(shown && code == Some(1), "{status}");
        let error = region.town.value("SELECT last_error FROM feeds WHERE feed = 'entreprise/marches/faux'").await;
        assert!(error.contains(words), "{error}");
        let wrong_calls = region.entreprise.calls().iter().filter(|call| !call.path.starts_with("/v3/insee")).count();
        assert_eq!(wrong_calls, 1, "{error}");
    }
}

#[tokio::test]
async fn check_online_names_the_watches_that_lack_their_right_and_asks_nothing_that_counts() {
    let region = Region::open().await;
    let fiscal = unites_legales(&SIRENS, "")
        .replace("\"ul\"", "\"fiscal\"")
        .replace("/v3/insee/sirene/unites_legales/{siren}", "/v4/dgfip/unites_legales/{siren}/attestation_fiscale");
    for newer in [true, false] {
        region.entreprise.adjust(|conduct| conduct.newer_privileges = newer);
        region.watch("100%", &format!("{fiscal}{}", unites_legales(&SIRENS, "")));
        let output = region.town.run(&["check", "--online"]).await;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("its rights: unites_legales_etablissements_insee"), "{said}");
        assert!(said.contains("watch marches/fiscal") && said.contains("attestation_fiscale_dgfip"), "{said}");
        assert!(!said.contains("watch marches/ul"), "{said}");
        assert_eq!(output.status.code(), Some(1), "{said}");
    }
    assert!(region.entreprise.calls().is_empty());
}
