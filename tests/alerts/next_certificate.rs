//! A certificate that follows takes over by itself.

use super::*;

/// The account `mairie` with a certificate of `present` standing, and one that follows of `next`.
fn with_next(town: &Town, present: Standing, next: Standing) -> String {
    let mairie = town.account("mairie", SIREN, present);
    let file = town.keys.client("mairie-2", next).unwrap().write(town.folder.path(), "next").unwrap();
    format!("{mairie}next_certificate = \"{}\"\n", file.file_name().unwrap().to_str().unwrap())
}

#[tokio::test]
async fn the_next_certificate_takes_over_when_the_first_has_ended() {
    let town = Town::bare().await;
    town.configure("1h", "", &with_next(&town, Standing::Expired, Standing::Valid));
    town.put_many(Kind::Chorus, 1, 2, 500);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "2").await;
    let (status, code) = town.status().await;
    assert_eq!(code, Some(0), "{status}");
    assert!(status["accounts"][0]["certificate_subject"].as_str().unwrap().contains("mairie-2"), "{status}");
    assert!(status["troubles"].as_array().unwrap().is_empty(), "{status}");
    let checked = town.run(&["check", "--online"]).await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    assert!(
        told(&checked).contains("note: account fast/mairie certificate: ") && told(&checked).contains("expired on")
    );
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn the_next_certificate_takes_over_when_the_first_is_refused_and_not_before() {
    let town = Town::bare().await;
    town.configure("1s", "", &with_next(&town, Standing::Valid, Standing::Valid));
    town.put_many(Kind::Chorus, 1, 1, 500);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "1").await;
    let subject = "SELECT certificate_subject LIKE '%mairie-2%' FROM accounts";
    assert_eq!(town.value(subject).await, "0", "the first one is good");
    assert!(daemon.stop().await.success());

    ["mairie", "next"].iter().for_each(|file| std::fs::remove_file(town.shared(file)).unwrap());
    town.configure("1s", "", &with_next(&town, Standing::Revoked, Standing::Valid));
    town.put_many(Kind::Chorus, 2, 1, 500);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "2").await;
    town.wait_value(subject, "1").await;
    let changed = daemon.wait_event("certificate.changed").await;
    assert_eq!(changed["account"], "fast/mairie");
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn a_next_certificate_that_is_not_valid_yet_waits_and_one_that_cannot_be_used_is_told_and_harms_nothing() {
    let town = Town::bare().await;
    let hook = Hook::open().await;
    let soon = with_next(&town, Standing::ExpiresIn(10 * DAY), Standing::NotYetValid);
    town.configure("1s", "", &(soon + &told_by(&hook, "")));
    town.put_many(Kind::Chorus, 1, 1, 500);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "1").await;
    town.wait_value("SELECT next_certificate_not_after IS NOT NULL FROM accounts", "1").await;
    let (status, code) = town.status().await;
    assert_eq!(code, Some(0));
    let kinds: Vec<&Value> = status["troubles"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert!(kinds.is_empty(), "the one that follows is there: nothing to order: {status}");
    let shown = told(&town.run(&["status"]).await);
    assert!(shown.contains("the next one is there, valid from"), "{shown}");

    std::fs::write(town.shared("next.pem"), "no certificate").ok();
    let config = std::fs::read_to_string(town.config()).unwrap();
    let line = config.lines().find(|line| line.starts_with("next_certificate")).unwrap();
    std::fs::write(town.config(), config.replace(line, "next_certificate = \"gone.pem\"")).unwrap();
    daemon.signal("HUP");
    let alert = wait_for(&hook, "next_certificate", "raised").await;
    assert!(alert["message"].as_str().unwrap().contains("gone.pem"), "{alert}");
    let checked = told(&town.run(&["check"]).await);
    assert!(
        checked.contains("note: account fast/mairie next_certificate: ") && checked.contains("gone.pem"),
        "{checked}"
    );
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn one_feed_that_is_not_enabled_does_not_cost_the_others_their_certificate() {
    let town = Town::bare().await;
    town.configure("1s", "", &with_next(&town, Standing::Valid, Standing::Revoked));
    let listing = Matcher::listing(SIREN, Kind::PesRetour);
    town.platform.set_fault(listing, Fault::Status(403, "".into(), Vec::new()), Times::Always);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM feeds WHERE consecutive_failures >= 3", "1").await;
    town.wait_value("SELECT count(*) >= 6 FROM polls WHERE outcome = 'ok'", "1").await;
    assert_eq!(town.value("SELECT certificate_subject LIKE '%mairie-2%' FROM accounts").await, "0");
    assert_eq!(
        town.value("SELECT count(*) FROM polls WHERE outcome <> 'ok' AND feed NOT LIKE '%pes-retour'").await,
        "0"
    );
    assert!(daemon.stop().await.success());
}
