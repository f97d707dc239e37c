//! Resources: kept when they change, by one token, and refusals told apart.

use vaguemestre::simulator::Reply;

use super::{Region, resource};

const FEED: &str = "douane/siege/suivi";

#[tokio::test]
async fn a_resource_is_kept_when_it_changes_and_asked_whether_it_has() {
    let region = Region::open().await;
    region.gateway.put("/example/api", "application/json", r#"{"etat":"recu","meta":1}"#);
    region.gateways(&resource("douane", "siege", "suivi", "/example/api", "ignore = [\"/meta\"]"));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "1").await;
    // Another answer that differs in what is ignored alone, then one that says something else.
    region.gateway.put("/example/api", "application/json", r#"{"meta":2, "etat":"recu"}"#);
    region.town.wait_value("SELECT etag FROM subjects", "\"v2\"").await;
    assert_eq!(region.town.value("SELECT count(*) FROM documents").await, "1");
    region.gateway.put("/example/api", "application/json", r#"{"meta":2, "etat":"accepte"}"#);
    region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "2").await;
    let ids = region.town.query("SELECT remote_id, subject, media_type FROM documents ORDER BY id").await;
    let (name, start) = ids[0][0].split_once('@').unwrap();
    assert_eq!((name, ids[0][1].as_str(), ids[0][2].as_str()), ("suivi", "suivi", "application/json"));
    assert_eq!((start.len(), start.ends_with('Z'), start.as_bytes()[8]), (20, true, b'T'));
    let kept = std::fs::read(
        region
            .town
            .state()
            .join(region.town.value("SELECT archive_path FROM documents ORDER BY id DESC LIMIT 1").await),
    );
    assert_eq!(kept.unwrap(), br#"{"meta":2, "etat":"accepte"}"#, "what the platform sent, byte for byte");
    let polls = region.town.value("SELECT count(*) FROM polls").await.parse::<usize>().unwrap();
    region.town.wait_value(&format!("SELECT count(*) >= {} FROM polls WHERE outcome = 'ok'", polls + 2), "1").await;
    assert!(daemon.stop().await.success());
    let requests = region.gateway.requests();
    assert!(requests.iter().filter(|request| request.status == 304).count() >= 1, "{requests:?}");
    assert_eq!(region.tokens.requests().len(), 1, "one token for all of it");
    assert_eq!(region.town.inbox_files().len(), 2);
}

#[tokio::test]
async fn each_new_item_of_a_list_is_fetched_once() {
    let region = Region::open().await;
    region.gateway.put("/liste", "application/json", r#"{"declarations":[{"ref":"A/1"},{"ref":7}]}"#);
    // Larger than what is read ahead to tell a refusal.
    let large = format!("<declaration>{}</declaration>", "x".repeat(300_000));
    region.gateway.put("/liste/A/1", "application/xml", large);
    region.gateway.put("/liste/7", "application/json", "{\"n\":7}");
    let items = "items = { id = \"/ref\", path = \"/liste/{id}\" }";
    region.gateways(&resource("douane", "siege", "suivi", "/liste", items));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "2").await;
    let ids = region.town.query("SELECT remote_id, media_type FROM documents ORDER BY remote_id").await;
    assert_eq!(ids, [["7", "application/json"], ["A/1", "application/xml"]]);
    let polls = region.town.value("SELECT count(*) FROM polls").await.parse::<usize>().unwrap();
    region.town.wait_value(&format!("SELECT count(*) >= {} FROM polls", polls + 2), "1").await;
    assert!(daemon.stop().await.success());
    let fetched = region.gateway.requests().iter().filter(|request| request.target == "/liste/7").count();
    assert_eq!(fetched, 1);
}

#[tokio::test]
async fn a_rejected_token_is_replaced_and_the_request_repeated_once_and_once_only() {
    for (platform, account) in [("douane", "siege"), ("piste", "sne")] {
        let region = Region::open().await;
        if platform == "piste" {
            region.gateway.refuse_barely();
        }
        region.gateway.put("/a", "application/json", "{\"n\":1}");
        region.gateways(&resource(platform, account, "a", "/a", ""));
        let daemon = region.town.start().await;
        region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "1").await;
        region.tokens.revoke_all();
        region.gateway.put("/a", "application/json", "{\"n\":2}");
        region.town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "2").await;
        assert_eq!(region.tokens.requests().len(), 2, "{platform}");
        assert!(daemon.stop().await.success());
        assert_eq!(region.gateway.requests().iter().filter(|it| it.status == 401).count(), 1);
        assert_eq!(region.town.value("SELECT count(*) FROM polls WHERE outcome = 'failed'").await, "0");
    }
}

#[tokio::test]
async fn an_api_that_rejects_every_token_is_asked_twice_a_poll_and_no_more() {
    let region = Region::open().await;
    region.gateways(&resource("douane", "siege", "suivi", "/a", "every = \"30m\"").replace("every = \"1s\"\n", ""));
    for _ in 0..4 {
        let refusal = Reply::new(401, "text/plain", "no").with("WWW-Authenticate: Bearer error=\"invalid_token\"");
        region.gateway.script(refusal);
    }
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT outcome FROM polls", "failed").await;
    assert!(daemon.stop().await.success());
    assert_eq!((region.gateway.requests().len(), region.tokens.requests().len()), (2, 2));
    let error = region.town.value("SELECT last_error FROM feeds").await;
    assert!(error.contains("rejects a token that it has just given"), "{error}");
    assert!(!error.contains("FAST") && !error.contains("token-2"), "{error}");
}

#[tokio::test]
async fn refusals_are_told_apart_and_never_kept() {
    let sne = r#"{"code":"ERRAUTUSR0001","message":"Aucun profil attribue"}"#;
    for (reply, words) in [
        (Reply::new(200, "application/json", sne), vec!["ERRAUTUSR0001", "Aucun profil attribue"]),
        (
            Reply::new(403, "text/plain", "").with("WWW-Authenticate: Bearer error=\"insufficient_scope\""),
            vec!["no right to this API", "a new token would not help"],
        ),
        (
            Reply::new(400, "text/plain", "").with("WWW-Authenticate: Bearer error=\"invalid_request\""),
            vec!["does not take this request"],
        ),
        (Reply::new(200, "text/html", "<html><title>Login</title></html>"), vec!["HTML page"]),
        (Reply::new(302, "text/plain", "").with("Location: http://127.0.0.1:1/"), vec!["elsewhere"]),
    ] {
        let region = Region::open().await;
        region.gateways(&resource("piste", "sne", "sante", "/a", "").replace("every = \"1s\"", "every = \"30m\""));
        region.gateway.script(reply);
        let daemon = region.town.start().await;
        region.town.wait_value("SELECT outcome FROM polls", "failed").await;
        assert!(daemon.stop().await.success());
        let error = region.town.value("SELECT last_error FROM feeds").await;
        for words in words {
            assert!(error.contains(words), "{words}: {error}");
        }
        assert_eq!((region.gateway.requests().len(), region.tokens.requests().len()), (1, 1), "{error}");
        assert_eq!(region.town.value("SELECT count(*) FROM documents").await, "0");
    }
}

#[tokio::test]
async fn a_platform_that_asks_to_wait_is_left_alone_for_as_long() {
    let region = Region::open().await;
    region.gateway.put("/a", "application/json", "{}");
    let other = resource("douane", "siege", "autre", "/a", "");
    region.gateways(&format!("{}{other}", resource("douane", "siege", "suivi", "/a", "")));
    region.gateway.script(Reply::new(429, "text/plain", "").with("Retry-After: 3600"));
    let daemon = region.town.start().await;
    region.town.wait_value("SELECT count(*) > 0 FROM polls WHERE outcome = 'failed'", "1").await;
    region.town.wait_value("SELECT count(*) FROM feeds WHERE not_before > last_listed_at", "2").await;
    // The account was asked to wait, and with it the feed that was not.
    let asked = region.gateway.requests().len();
    for feed in [FEED, "douane/siege/autre"] {
        let poll = region.town.run(&["poll", feed]).await;
        assert!(common_text(&poll.stdout).contains("may not be listed before"), "{poll:?}");
    }
    assert!(daemon.stop().await.success());
    assert_eq!(region.gateway.requests().len(), asked);
    assert!(asked <= 2, "{asked}");
}

fn common_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
