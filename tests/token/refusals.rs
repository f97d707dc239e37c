//! T4: refused credentials are not tried again until they change, or half an hour has passed.

use vaguemestre::simulator::oauth::Script;

use super::*;

#[tokio::test]
async fn a_wrong_password_makes_one_request_in_thirty_minutes_across_restarts() {
    let office = Office::open().await;
    office.password("wrong");
    for minute in 0..30 {
        let desk = office.manager().await;
        let outcomes = desk.crowd(None).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(TokenError::Refused { .. }))), "{outcomes:?}");
        assert_eq!(office.asked(), 1, "minute {minute}");
        desk.close().await;
        office.clock.advance(seconds(60));
    }
    assert!(office.manager().await.token().await.is_err());
    assert_eq!(office.asked(), 2, "after half an hour it may have been corrected on the other side");
}

#[tokio::test]
async fn changed_credentials_are_tried_at_once_and_the_same_ones_written_anew_are_not() {
    let office = Office::open().await;
    office.password("wrong");
    let desk = office.manager().await;
    let error = desk.token().await.unwrap_err();
    assert!(error.to_string().contains("invalid_grant") && error.remedy().contains("password"), "{error}");
    office.password("wrong\n");
    assert!(desk.token().await.is_err());
    assert_eq!(office.asked(), 1);
    office.password("wrong as well");
    assert!(desk.token().await.is_err());
    assert_eq!(office.asked(), 2);
    office.password(PASSWORD);
    assert!(desk.token().await.is_ok());
    assert_eq!(office.asked(), 3);
}

#[tokio::test]
async fn a_reboot_and_a_clock_that_is_set_do_not_lift_the_latch_and_do_not_prolong_it_for_ever() {
    let office = Office::open().await;
    office.password("wrong");
    let desk = office.manager().await;
    assert!(desk.token().await.is_err());
    office.clock.set_wall("2026-12-22T10:00:00Z".parse().unwrap());
    assert!(desk.token().await.is_err());
    office.clock.set_wall("2026-11-01T10:00:00Z".parse().unwrap());
    assert!(desk.token().await.is_err());
    desk.close().await;
    office.clock.reboot("boot-2");
    let desk = office.manager().await;
    assert!(desk.token().await.is_err());
    assert_eq!(office.asked(), 1);
    office.clock.advance(seconds(1800));
    assert!(desk.token().await.is_err());
    assert_eq!(office.asked(), 2);
}

#[tokio::test]
async fn every_refusal_latches_and_every_passing_failure_does_not() {
    for (status, body, refused) in [
        (400, r#"{"error":"invalid_grant"}"#, true),
        (401, r#"{"error":"invalid_client"}"#, true),
        (400, r#"{"error":"unauthorized_client"}"#, true),
        (400, r#"{"error":"invalid_request"}"#, true),
        (422, r#"{"error":"invalid_grant"}"#, true),
        (200, r#"{"error":"invalid_grant"}"#, true),
        (401, "", true),
        (403, "<html>", true),
        (500, r#"{"error":"invalid_grant"}"#, false),
        (503, r#"{"error":"temporarily_unavailable"}"#, false),
        (400, r#"{"error":"temporarily_unavailable"}"#, false),
        (404, "", false),
        (429, "", false),
        (502, "<html>", false),
    ] {
        let office = Office::open().await;
        office.server.script(Script::Answer(status, Vec::new(), body.to_owned()));
        let desk = office.manager().await;
        let error = desk.token().await.unwrap_err();
        assert_eq!(matches!(error, TokenError::Refused { .. }), refused, "{status} {body}: {error}");
        office.clock.advance(seconds(2));
        assert_eq!(desk.token().await.is_ok(), !refused, "{status} {body}");
    }
}

#[tokio::test]
async fn an_unknown_client_of_the_sandbox_is_told_of_the_other_address() {
    let office = Office::open().await;
    office.password("wrong");
    let desk = office.manager().await;
    let error = desk.manager.token("piste/sne").await.unwrap_err();
    assert!(error.to_string().contains("invalid_client"), "{error}");
    assert!(error.remedy().contains("https://oauth.piste.gouv.fr/api/oauth/token"), "{}", error.remedy());
}

#[tokio::test]
async fn another_client_under_the_same_name_has_nothing_of_the_first() {
    let office = Office::open().await;
    let desk = office.manager().await;
    assert!(desk.token().await.is_ok());
    desk.close().await;
    office.server.know("AUTRE", PASSWORD);
    let text = std::fs::read_to_string(office.path("vaguemestre.toml")).unwrap();
    std::fs::write(office.path("vaguemestre.toml"), text.replace("COMPTE-API", "AUTRE")).unwrap();
    let desk = office.manager().await;
    assert_eq!(desk.token().await.unwrap(), "token-2-of-AUTRE");
}

#[tokio::test]
async fn a_new_password_leaves_a_token_that_is_valid() {
    let office = Office::open().await;
    let desk = office.manager().await;
    let first = desk.token().await.unwrap();
    office.password("new");
    assert_eq!(desk.token().await.unwrap(), first);
    assert_eq!(office.asked(), 1);
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_a_problem_and_no_request() {
    let office = Office::open().await;
    let desk = office.manager().await;
    std::fs::remove_file(office.path("password")).unwrap();
    assert!(matches!(desk.token().await, Err(TokenError::Unusable { .. })));
    office.password("");
    assert!(matches!(desk.token().await, Err(TokenError::Unusable { .. })), "an empty one is none");
    assert_eq!(office.asked(), 0);
    office.password(PASSWORD);
    assert!(desk.token().await.is_ok());
}

#[tokio::test]
async fn who_asks_after_a_reload_is_not_given_what_was_asked_for_the_client_before() {
    let office = Office::open().await;
    office.server.know("AUTRE", PASSWORD);
    office.server.adjust(|it| it.latency = Duration::from_millis(100));
    let desk = office.manager().await;
    let before = tokio::spawn({
        let manager = desk.manager.clone();
        async move { manager.token(ACCOUNT).await.map(|token| token.access_token.expose_secret().to_owned()) }
    });
    office.server.wait_for(1).await;
    let text = std::fs::read_to_string(office.path("vaguemestre.toml")).unwrap();
    std::fs::write(office.path("vaguemestre.toml"), text.replace("COMPTE-API", "AUTRE")).unwrap();
    let settings = config::load(&office.path("vaguemestre.toml"), std::iter::empty()).settings.unwrap();
    desk.manager.serve(token::accounts(&settings), Way::default());
    assert_eq!(desk.token().await.unwrap(), "token-2-of-AUTRE");
    assert_eq!(before.await.unwrap().unwrap(), "token-1-of-COMPTE-API");
}
