//! T1–T3: one request at a time, shared by all, and only when none is held.

use vaguemestre::simulator::oauth::Script;

use super::*;

#[tokio::test]
async fn two_hundred_tasks_that_need_a_token_make_one_request() {
    let office = Office::open().await;
    office.server.adjust(|it| it.latency = Duration::from_millis(50));
    let desk = office.manager().await;
    let tokens = desk.crowd(None).await;
    assert!(tokens.iter().all(|token| token.as_deref() == Ok("token-1-of-COMPTE-API")), "{tokens:?}");
    assert_eq!(office.asked(), 1);
}

#[tokio::test]
async fn two_hundred_tasks_whose_token_is_rejected_make_one_request_and_stragglers_discard_nothing() {
    let office = Office::open().await;
    let desk = office.manager().await;
    let first = desk.token().await.unwrap();
    office.server.adjust(|it| it.latency = Duration::from_millis(50));
    let tokens = desk.crowd(Some(&first)).await;
    assert!(tokens.iter().all(|token| token.as_deref() == Ok("token-2-of-COMPTE-API")), "{tokens:?}");
    desk.reject(&first).await;
    assert_eq!(desk.token().await.unwrap(), "token-2-of-COMPTE-API");
    assert_eq!(office.asked(), 2);
}

#[tokio::test]
async fn two_hundred_tasks_on_a_failing_server_make_one_request_per_pause() {
    let office = Office::open().await;
    office.server.adjust(|it| it.always = Some(Script::Answer(503, Vec::new(), String::new())));
    let desk = office.manager().await;
    for (round, pause) in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300].into_iter().enumerate() {
        for _ in 0..2 {
            let outcomes = desk.crowd(None).await;
            assert!(outcomes.iter().all(|outcome| matches!(outcome, Err(TokenError::Failed { .. }))), "{outcomes:?}");
        }
        assert_eq!(office.asked(), round + 1);
        office.clock.advance(seconds(pause) - Duration::from_millis(1));
        assert!(desk.token().await.is_err());
        assert_eq!(office.asked(), round + 1, "no request within a pause of {pause} s");
        office.clock.advance(Duration::from_millis(1));
    }
    office.server.adjust(|it| it.always = None);
    assert!(desk.token().await.is_ok(), "and it recovers by itself");
}

#[tokio::test]
async fn a_token_is_asked_for_again_when_its_life_less_the_margin_is_over() {
    for (life, used) in [(6, Duration::from_millis(5400)), (300, seconds(290))] {
        let office = Office::open().await;
        office.server.adjust(|it| it.expires_in = life);
        let desk = office.manager().await;
        let first = desk.token().await.unwrap();
        office.clock.advance(used - Duration::from_millis(1));
        assert_eq!(desk.token().await.unwrap(), first);
        assert_eq!(office.asked(), 1);
        office.clock.advance(Duration::from_millis(1));
        assert_ne!(desk.token().await.unwrap(), first);
        assert_eq!(office.asked(), 2);
    }
}

#[tokio::test]
async fn an_early_renewal_that_fails_leaves_the_token_that_is_still_good() {
    let office = Office::open().await;
    let desk = office.manager().await;
    let first = desk.token().await.unwrap();
    office.server.adjust(|it| it.always = Some(Script::Answer(500, Vec::new(), String::new())));
    office.clock.advance(seconds(295));
    assert_eq!(desk.token().await.unwrap(), first);
    assert_eq!(desk.token().await.unwrap(), first);
    assert_eq!(office.asked(), 2, "one try, then its pause");
    office.clock.advance(seconds(5));
    assert!(desk.token().await.is_err(), "an expired token is never given");
}

#[tokio::test]
async fn a_restart_within_the_life_makes_no_request_and_remembers_pauses() {
    let office = Office::open().await;
    let desk = office.manager().await;
    let first = desk.token().await.unwrap();
    desk.close().await;
    office.clock.advance(seconds(200));
    let desk = office.manager().await;
    assert_eq!(desk.token().await.unwrap(), first);
    assert_eq!(office.asked(), 1);
    desk.reject(&first).await;
    office.server.adjust(|it| it.always = Some(Script::Close));
    assert!(desk.token().await.is_err());
    desk.close().await;
    let desk = office.manager().await;
    assert!(desk.token().await.is_err());
    assert_eq!(office.asked(), 2, "a pause outlives the process");
}

#[tokio::test]
async fn a_process_that_dies_while_it_asks_counts_as_a_failure() {
    let office = Office::open().await;
    office.server.script(Script::Hang);
    let desk = office.manager().await;
    let waiting = tokio::spawn({
        let manager = desk.manager.clone();
        async move { manager.token(ACCOUNT).await.is_ok() }
    });
    office.server.wait_for(1).await;
    desk.running.send_replace(true);
    assert!(!waiting.await.unwrap(), "who waits is let go when the process stops");
    desk.close().await;
    let desk = office.manager().await;
    assert!(matches!(desk.token().await, Err(TokenError::Failed { .. })));
    office.clock.advance(seconds(1));
    assert!(desk.token().await.is_ok());
    assert_eq!(office.asked(), 2);
}

#[tokio::test]
async fn one_who_gives_up_takes_nothing_from_the_others() {
    let office = Office::open().await;
    office.server.adjust(|it| it.latency = Duration::from_millis(100));
    let desk = office.manager().await;
    let first = tokio::spawn({
        let manager = desk.manager.clone();
        async move { manager.token(ACCOUNT).await.is_ok() }
    });
    office.server.wait_for(1).await;
    first.abort();
    assert!(desk.token().await.is_ok());
    assert_eq!(office.asked(), 1);
}

#[tokio::test]
async fn answers_without_a_usable_token_are_failures() {
    for body in [
        "",
        "<html>ok</html>",
        "[]",
        r#"{"token_type":"Bearer","expires_in":300}"#,
        r#"{"access_token":"","expires_in":300}"#,
        r#"{"access_token":"a b","expires_in":300}"#,
        r#"{"access_token":"t","token_type":"Bearer"}"#,
        r#"{"access_token":"t","expires_in":0}"#,
        r#"{"access_token":"t","expires_in":-5}"#,
        r#"{"access_token":"t","expires_in":"soon"}"#,
        r#"{"access_token":"t","expires_in":300,"token_type":"mac"}"#,
        r#"{"error":"temporarily_unavailable"}"#,
    ] {
        let office = Office::open().await;
        office.server.script(Script::Answer(200, Vec::new(), body.to_owned()));
        let desk = office.manager().await;
        assert!(matches!(desk.token().await, Err(TokenError::Failed { .. })), "{body}");
        assert!(desk.token().await.is_err());
        assert_eq!(office.asked(), 1, "{body}");
    }
}

#[tokio::test]
async fn the_type_of_a_token_is_compared_without_case_and_forms_are_encoded_right() {
    let office = Office::open().await;
    office.server.adjust(|it| it.token_type = "bEARER".to_owned());
    let desk = office.manager().await;
    assert!(desk.token().await.is_ok());
    assert!(desk.manager.token("piste/sne").await.is_ok(), "both grants");
    let requests = office.server.requests();
    assert_eq!(requests[0].form["password"], PASSWORD);
    assert_eq!(requests[1].form["client_secret"], PASSWORD);
    assert!(!requests[0].body.contains('+') && !requests[0].body.contains(' '), "{}", requests[0].body);
}

#[tokio::test]
async fn a_clock_that_is_set_costs_no_request_and_keeps_no_token_too_long() {
    let office = Office::open().await;
    let desk = office.manager().await;
    let first = desk.token().await.unwrap();
    for wall in ["2026-11-23T10:00:00Z", "2026-11-20T10:00:00Z"] {
        office.clock.set_wall(wall.parse().unwrap());
        assert_eq!(desk.token().await.unwrap(), first, "{wall}");
    }
    office.clock.advance(seconds(300));
    assert_ne!(desk.token().await.unwrap(), first);
    assert_eq!(office.asked(), 2);
}

#[tokio::test]
async fn a_server_that_asks_to_wait_is_left_alone() {
    let office = Office::open().await;
    office.server.script(Script::Answer(429, vec!["Retry-After: 90".to_owned()], String::new()));
    let desk = office.manager().await;
    assert!(desk.token().await.is_err());
    office.clock.advance(seconds(89));
    assert!(desk.token().await.is_err());
    assert_eq!(office.asked(), 1);
    office.clock.advance(seconds(1));
    assert!(desk.token().await.is_ok());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let office = Office::open().await;
    let elsewhere = vec![format!("Location: {}", office.server.piste_url())];
    office.server.script(Script::Answer(307, elsewhere, String::new()));
    let desk = office.manager().await;
    let error = desk.token().await.unwrap_err();
    assert!(error.to_string().contains("redirect"), "{error}");
    assert_eq!(office.asked(), 1);
}
