//! Accounts whose interface or feeds change: nothing is lost on the way, collected twice without cause, or asked for in the
//! wrong place.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::shares::{acquittement, of, ok, reconfigure, town};
use common::{SIREN, sample};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Call, Fault, Matcher, Times};

#[tokio::test]
async fn coming_from_webdav_what_the_web_service_lists_is_recognised_by_its_bytes() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    ok(&town).await;
    town.platform.put(SIREN, Kind::Acquittements, 77, acquittement(1));
    town.platform.put(SIREN, Kind::Acquittements, 78, acquittement(2));
    reconfigure(&town, "\"webdav\"", "\"rest\"");
    ok(&town).await;
    assert_eq!(town.inbox_files().len(), 2, "the same bytes are not delivered again");
    let same = town.value("SELECT same_as FROM documents WHERE remote_id = '77'").await;
    assert!(same.starts_with("PES/a.xml@"), "{same}");
    let said = town.say(&["status"]).await;
    assert!(said.out.contains("1 had come over another interface before"), "{said:?}");
    // Both web services know the same ids.
    town.platform.adjust(|it| it.keep_listing = true);
    reconfigure(&town, "\"rest\"", "\"soap\"");
    ok(&town).await;
    assert_eq!(town.downloads(), 3);
    reconfigure(&town, "\"soap\"", "\"rest\"");
    ok(&town).await;
    assert_eq!(town.downloads(), 3);
}

#[tokio::test]
async fn the_same_bytes_twice_are_recognised_once_for_each_that_is_held() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    ok(&town).await;
    town.platform.put(SIREN, Kind::Acquittements, 77, acquittement(1));
    town.platform.put(SIREN, Kind::Acquittements, 78, acquittement(1));
    reconfigure(&town, "\"webdav\"", "\"rest\"");
    ok(&town).await;
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE same_as IS NOT NULL").await, "1");
    assert_eq!(town.inbox_files().len(), 2, "the second of them is new");
}

#[tokio::test]
async fn what_waits_for_the_other_interface_waits_until_the_account_uses_it_again() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    let busy = || Fault::Status(400, "no".into(), Vec::new());
    town.platform.put_file(SIREN, "PES/a b#1.xml", acquittement(1));
    town.platform.set_fault(Matcher::downloads(), busy(), Times::Once);
    town.poll().await;
    assert_eq!(town.value("SELECT state FROM documents").await, "failed");
    reconfigure(&town, "\"webdav\"", "\"rest\"");
    town.platform.put(SIREN, Kind::Acquittements, 5, acquittement(5));
    town.platform.set_fault(Matcher::downloads(), busy(), Times::Once);
    town.poll().await;
    town.platform.clear_faults();
    reconfigure(&town, "\"rest\"", "\"webdav\"");
    let asked = of(&town, Call::Download).len();
    ok(&town).await;
    let states = "SELECT group_concat(remote_id || ' ' || state, ', ') FROM documents WHERE state <> 'delivered'";
    assert_eq!(town.value(states).await, "5 failed");
    let said = town.say(&["status"]).await;
    assert!(said.out.contains("1 were listed over another interface"), "{said:?}");
    reconfigure(&town, "\"webdav\"", "\"rest\"");
    ok(&town).await;
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "2");
    assert_eq!(of(&town, Call::Download).len(), asked + 2, "each was asked for where it lies");
}

#[tokio::test]
async fn signed_files_that_failed_are_fetched_by_the_listing_they_share_from_then_on() {
    let town = town("feeds = [\"signes\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.pdf", sample(Kind::Signes, 1, 3000));
    town.platform.set_fault(Matcher::downloads(), Fault::Status(400, "no".into(), Vec::new()), Times::Once);
    town.poll().await;
    assert_eq!(town.value("SELECT state FROM documents").await, "failed");
    reconfigure(&town, "feeds = [\"signes\"]", "feeds = [\"acquittements\", \"signes\"]");
    let said = town.say(&["poll", "fast/mairie/acquittements"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.value("SELECT feed || ' ' || state FROM documents").await, "fast/mairie/signes delivered");
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
}

#[tokio::test]
async fn signed_files_passed_over_while_nobody_wanted_them_are_collected_once_somebody_does_again() {
    let both = "feeds = [\"acquittements\", \"signes\"]";
    let town = town(both, "").await;
    ok(&town).await;
    reconfigure(&town, both, "feeds = [\"acquittements\"]");
    town.platform.put_file(SIREN, "PES/a.pdf", sample(Kind::Signes, 1, 3000));
    ok(&town).await;
    let said = town.say(&["status"]).await;
    assert!(said.out.contains("1 are of a kind that is not collected"), "{said:?}");
    reconfigure(&town, "feeds = [\"acquittements\"]", both);
    ok(&town).await;
    assert_eq!(town.value("SELECT feed || ' ' || state FROM documents").await, "fast/mairie/signes delivered");
}

#[tokio::test]
async fn folders_listed_for_one_feed_were_listed_for_the_one_that_leads_it_from_now_on() {
    let town = town("feeds = [\"signes\"]", "").await;
    reconfigure(&town, "interval = \"1ms\"", "interval = \"1h\"");
    ok(&town).await;
    let listed = of(&town, Call::List).len();
    reconfigure(&town, "feeds = [\"signes\"]", "feeds = [\"acquittements\", \"signes\"]");
    let said = ok(&town).await;
    assert!(said.out.contains("may not be listed before"), "{said:?}");
    assert_eq!(of(&town, Call::List).len(), listed);
}

#[tokio::test]
async fn a_first_listing_that_shows_a_part_only_skips_nothing() {
    let town = town("feeds = [\"acquittements\"]\nfirst_poll = \"skip\"", "").await;
    town.platform.make_folder(SIREN, "Autre");
    town.platform.put_file(SIREN, "PES/old.xml", acquittement(1));
    let folder = Matcher { id: Some("Autre".to_owned()), ..Matcher::listings() };
    town.platform.set_fault(folder, Fault::Status(500, "no".into(), Vec::new()), Times::Once);
    assert_eq!(town.poll().await.code, 75);
    assert_eq!(town.value("SELECT count(*) FROM documents").await, "0");
    ok(&town).await;
    assert_eq!(town.value("SELECT state FROM documents").await, "skipped");
    town.platform.put_file(SIREN, "PES/new.xml", acquittement(2));
    ok(&town).await;
    assert_eq!(town.value("SELECT group_concat(state, ',' ORDER BY id) FROM documents").await, "skipped,delivered");
}
