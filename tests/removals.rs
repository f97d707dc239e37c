//! What is removed from WebDAV folders: only what is proved to be the file that is safe here; everything else stays, visibly.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::shares::{acquittement, of, ok, reconfigure, town};
use common::{SIREN, Town, sample};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Call, Dialect, Etags, Fault, Matcher, Times};

fn folder(name: &str) -> Matcher {
    Matcher { id: Some(name.to_owned()), ..Matcher::listings() }
}

async fn last_bytes(town: &Town) -> Vec<u8> {
    let last = "SELECT archive_path FROM documents WHERE archive_path IS NOT NULL ORDER BY id DESC LIMIT 1";
    std::fs::read(town.state().join(town.value(last).await)).unwrap()
}

#[tokio::test]
async fn nothing_is_removed_unless_the_server_proves_that_it_is_the_file_collected() {
    let bare = Dialect { etags: Etags::None, ..Dialect::default() };
    for dialect in [Dialect { undated: true, ..bare }, Dialect { mute: true, ..bare }] {
        let town = town("feeds = [\"acquittements\"]", "").await;
        town.platform.adjust(|it| it.dialect = dialect);
        town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
        ok(&town).await;
        // Another of the same length: nothing that the server tells gives it away.
        town.platform.put_file(SIREN, "PES/a.xml", acquittement(2));
        ok(&town).await;
        assert_eq!(town.platform.files(SIREN), ["PES/a.xml"], "{dialect:?}");
        let said = town.say(&["status"]).await;
        assert!(said.out.contains("remove it there by hand"), "{said:?}");
    }
}

#[tokio::test]
async fn another_length_is_another_file_whatever_else_is_told() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.adjust(|it| it.dialect = Dialect { mute: true, etags: Etags::Weak, ..Dialect::default() });
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.set_fault(Matcher { call: Some(Call::Look), ..Matcher::any() }, Fault::Reset, Times::Always);
    ok(&town).await;
    town.platform.clear_faults();
    let longer = sample(Kind::Acquittements, 2, 5000);
    town.platform.put_file(SIREN, "PES/a.xml", longer.clone());
    ok(&town).await;
    assert!(last_bytes(&town).await == longer);
    assert_eq!(of(&town, Call::Release).len(), 0);
}

#[tokio::test]
async fn files_that_will_not_go_keep_no_other_waiting() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    for number in 0..12 {
        town.platform.put_file(SIREN, &format!("PES/{number:02}.xml"), acquittement(number));
    }
    for number in 0..4 {
        let locked = Matcher { id: Some(format!("PES/{number:02}.xml")), ..Matcher::releases() };
        let status = if number < 3 { 423 } else { 500 };
        town.platform.set_fault(locked, Fault::Status(status, "Locked".into(), Vec::new()), Times::Always);
    }
    ok(&town).await;
    ok(&town).await;
    assert_eq!(town.platform.files(SIREN).len(), 4);
    let said = town.say(&["status"]).await;
    assert!(
        said.out.contains("4 held of fast/mairie/acquittements could not be removed from the platform"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_file_that_is_said_to_be_replaced_and_is_listed_as_before_is_shown() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.set_fault(Matcher::releases(), Fault::Status(412, "no".into(), Vec::new()), Times::Always);
    ok(&town).await;
    ok(&town).await;
    town.platform.set_fault(Matcher::listings(), Fault::Status(503, "no".into(), Vec::new()), Times::Always);
    ok_or_not(&town).await;
    let replaced = town.value("SELECT release_error FROM documents").await;
    assert!(replaced.contains("another file has taken its place"), "{replaced}");
}

async fn ok_or_not(town: &Town) {
    town.poll().await;
}

#[tokio::test]
async fn a_download_that_always_breaks_keeps_no_file_from_being_removed() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.set_fault(Matcher::releases(), Fault::Status(423, "no".into(), Vec::new()), Times::Once);
    ok(&town).await;
    town.platform.put_file(SIREN, "PES/b.xml", acquittement(2));
    town.platform.set_fault(Matcher::download("PES/b.xml"), Fault::ResetAfter(300), Times::Always);
    assert_eq!(town.poll().await.code, 75);
    assert_eq!(town.platform.files(SIREN), ["PES/b.xml"]);
}

#[tokio::test]
async fn a_name_used_again_inherits_nothing_of_the_file_before() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    // Whole, and no return: set aside.
    town.platform.put_file(SIREN, "PES/a.xml", "<a>cut");
    assert_eq!(town.poll().await.code, 75);
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(2));
    ok(&town).await;
    let rows = town.query("SELECT state, attempts, quarantine_path IS NOT NULL FROM documents ORDER BY id").await;
    assert_eq!(rows, [["gone", "1", "1"], ["delivered", "0", "0"]].map(|row| row.map(str::to_owned).to_vec()));
    assert!(last_bytes(&town).await == acquittement(2));
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
}

#[tokio::test]
async fn a_held_file_whose_name_was_used_again_stays_held_and_the_new_one_is_not_removed_unseen() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    ok(&town).await;
    let first = town.value("SELECT remote_id FROM documents").await;
    let huge = sample(Kind::Acquittements, 2, 17 << 20);
    town.platform.put_file(SIREN, "PES/a.xml", huge);
    assert_eq!(town.say(&["retry", "--again", "fast/mairie/acquittements", &first]).await.code, 0);
    town.poll().await;
    town.poll().await;
    assert_eq!(town.platform.files(SIREN), ["PES/a.xml"], "it is not held");
    let states = town
        .query("SELECT remote_id = '{first}', state FROM documents ORDER BY id".replace("{first}", &first).as_str())
        .await;
    assert_eq!(states, [["1", "delivered"], ["0", "abandoned"]].map(|row| row.map(str::to_owned).to_vec()));
}

#[tokio::test]
async fn a_document_given_up_as_lost_that_is_listed_again_is_fetched() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.put_file(SIREN, "PES/b.xml", acquittement(2));
    town.platform.set_fault(Matcher::download("PES/a.xml"), Fault::ResetAfter(300), Times::Once);
    town.poll().await;
    town.platform.set_fault(Matcher::download("PES/a.xml"), Fault::Status(404, "no".into(), Vec::new()), Times::Once);
    town.poll().await;
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'lost'").await, "1");
    ok(&town).await;
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "2");
}

#[tokio::test]
async fn a_file_that_goes_on_differing_from_its_listing_is_told() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.adjust(|it| it.dialect.restless = true);
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    ok(&town).await;
    ok(&town).await;
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    assert!(said.out.contains("changed since it was listed"), "{said:?}");
    assert_eq!(town.value("SELECT state || ' ' || attempts FROM documents").await, "failed 1");
}

#[tokio::test]
async fn a_folder_that_may_not_be_listed_keeps_no_other_waiting() {
    let town = town("feeds = [\"acquittements\"]\ncircuits = [\"Bureau\", \"PES\"]", "").await;
    for name in ["Aaa", "Bureau"] {
        town.platform.make_folder(SIREN, name);
        town.platform.set_fault(folder(name), Fault::Status(403, "no".into(), Vec::new()), Times::Always);
    }
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    assert_eq!(town.value("SELECT state FROM documents").await, "delivered");
    // A circuit that nobody wants to be collected is no failure.
    reconfigure(&town, "\"Bureau\", \"PES\"", "\"PES\"");
    ok(&town).await;
    let note = town.feed_status().await["note"].as_str().unwrap().to_owned();
    assert!(note.contains("out/Aaa, which is not among `circuits`, cannot be looked into"), "{note}");
}

#[tokio::test]
async fn a_platform_that_asks_to_wait_within_a_listing_is_asked_nothing_more() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.make_folder(SIREN, "Zzz");
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.set_fault(folder("Zzz"), Fault::RetryAfter(429, 3600), Times::Always);
    assert_eq!(town.poll().await.code, 75);
    assert_eq!((of(&town, Call::Download).len(), of(&town, Call::Release).len()), (0, 0));
    assert_eq!(town.value("SELECT state FROM documents").await, "listed", "what was shown is not forgotten");
}

#[tokio::test]
async fn every_try_of_a_document_is_told() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.put_file(SIREN, "PES/b.xml", acquittement(2));
    let first = Fault::Status(400, "first answer".into(), Vec::new());
    town.platform.set_fault(Matcher::download("PES/a.xml"), first, Times::Once);
    town.poll().await;
    ok(&town).await;
    let id = town.value("SELECT remote_id FROM documents WHERE attempts > 0").await;
    let said = town.say(&["show", &id]).await;
    assert!(said.out.contains("try:") && said.out.contains("first answer"), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_may_go_once_it_is_delivered_does_not_stay_until_the_next_listing() {
    let town = town("feeds = [\"acquittements\"]\nrelease = \"delivered\"", "").await;
    reconfigure(&town, "interval = \"1ms\"", "interval = \"30m\"");
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    let daemon = town.start().await;
    town.wait_value("SELECT count(released_at) FROM documents WHERE state = 'delivered'", "1").await;
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
    let listings = of(&town, Call::List).into_iter().filter(|record| record.id.as_deref() == Some("PES")).count();
    assert_eq!(listings, 1, "and nothing is listed for that");
    assert!(daemon.stop().await.success());
}
