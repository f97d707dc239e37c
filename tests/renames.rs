//! The ledger knows an account by origin and SIREN: names may change, history and rights to it do not.
#![cfg(feature = "simulator")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{SIREN, Town, sample};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;

const OTHER: &str = "261300024";

/// A town with these accounts (name, SIREN), each with the feed of acquittements alone.
fn configure(town: &Town, accounts: &[(&str, &str)]) {
    let table = |(name, siren): &(&str, &str)| {
        // A certificate of that name may be there from before; it is issued anew.
        for entry in std::fs::read_dir(town.folder.path()).unwrap().map(Result::unwrap) {
            if entry.path().file_stem().is_some_and(|stem| stem == *name) {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
        format!("{}feeds = [\"acquittements\"]\n", town.account(name, siren, Standing::Valid))
    };
    town.configure("1ms", "", &accounts.iter().map(table).collect::<String>());
}

fn put(town: &Town, siren: &str, number: u64) {
    town.platform.put(siren, Kind::Acquittements, number, sample(Kind::Acquittements, number, 2000));
}

async fn feeds_of_documents(town: &Town) -> Vec<Vec<String>> {
    town.query("SELECT remote_id, feed, state FROM documents ORDER BY remote_id").await
}

#[tokio::test]
async fn a_renamed_account_keeps_its_history_and_nothing_is_downloaded_again() {
    let town = Town::bare().await;
    town.platform.adjust(|it| it.keep_listing = true);
    configure(&town, &[("mairie", SIREN)]);
    put(&town, SIREN, 1);
    put(&town, SIREN, 2);
    town.poll().await;
    let listed = town.value("SELECT last_listed_at FROM feeds").await;

    configure(&town, &[("ville", SIREN)]);
    town.say(&["poll", "fast/none"]).await;
    assert_eq!(town.value("SELECT last_listed_at FROM feeds").await, listed, "F1 counts from the listing of before");
    let said = town.poll().await;
    assert!(said.code == 0 && said.out.contains("fast/ville/acquittements: ok, 2 listed, 0 fetched"), "{said:?}");
    assert_eq!(town.downloads(), 2);
    let feed = "fast/ville/acquittements";
    assert_eq!(feeds_of_documents(&town).await, [["1", feed, "delivered"], ["2", feed, "delivered"]]);
    for table in ["feeds", "polls", "deliveries"] {
        let names = town.query(&format!("SELECT DISTINCT feed FROM {table}")).await;
        assert_eq!(names, [[feed]], "{table}");
    }
    let paths = town.query("SELECT archive_path FROM documents").await.concat();
    assert!(paths.iter().all(|path| town.state().join(path).is_file()), "copies stay where the ledger says");

    put(&town, SIREN, 3);
    town.poll().await;
    assert!(town.inbox().join("fast/ville/acquittements/3-PES3.xml").is_file());
}

#[tokio::test]
async fn a_name_pointed_at_another_siren_is_a_problem_that_names_the_remedy() {
    let town = Town::bare().await;
    configure(&town, &[("mairie", SIREN), ("ecole", "200012345")]);
    put(&town, SIREN, 1);
    town.poll().await;

    configure(&town, &[("mairie", OTHER), ("ecole", "200012345")]);
    put(&town, OTHER, 2);
    put(&town, "200012345", 3);
    let said = town.poll().await;
    assert!(!said.out.contains("mairie") && said.out.contains("fast/ecole/acquittements: ok"), "{said:?}");
    assert!(said.err.contains("account.unusable"), "{said:?}");
    let rows = feeds_of_documents(&town).await;
    assert_eq!(rows, [["1", "fast/mairie/acquittements", "delivered"], ["3", "fast/ecole/acquittements", "delivered"]]);
    let status = town.say(&["status"]).await;
    assert_eq!(status.code, 1);
    let words = [SIREN, "fast/mairie", "give the account a new name"];
    assert!(words.iter().all(|word| status.out.contains(word)), "{status:?}");

    configure(&town, &[("mairie", SIREN), ("ecole", "200012345"), ("ccas", OTHER)]);
    let said = town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(feeds_of_documents(&town).await[1], ["2", "fast/ccas/acquittements", "delivered"]);
    assert!(!town.say(&["status"]).await.out.contains("belongs"));
}

#[tokio::test]
async fn two_accounts_may_exchange_their_names() {
    let town = Town::bare().await;
    town.platform.adjust(|it| it.keep_listing = true);
    configure(&town, &[("nord", SIREN), ("sud", OTHER)]);
    put(&town, SIREN, 1);
    put(&town, OTHER, 2);
    town.poll().await;
    configure(&town, &[("nord", OTHER), ("sud", SIREN)]);
    let said = town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    let [nord, sud] = ["nord", "sud"].map(|name| format!("fast/{name}/acquittements"));
    assert_eq!(feeds_of_documents(&town).await, [["1", &sud, "delivered"], ["2", &nord, "delivered"]]);
    assert_eq!(town.downloads(), 2);
    assert_eq!(town.query("SELECT feed, siren FROM feeds ORDER BY feed").await, [[&*nord, OTHER], [&*sud, SIREN]]);
}

#[tokio::test]
async fn a_name_that_cannot_be_taken_leaves_every_history_where_it_was() {
    // The name `ouest` belongs to an account that is no longer configured; `nord` wants it, and `sud` wants `nord`.
    // Accounts are taken up in no certain order: each round may meet another.
    for round in 0..6 {
        let town = Town::bare().await;
        configure(&town, &[("nord", SIREN), ("sud", OTHER), ("ouest", "200012345")]);
        for (siren, number) in [(SIREN, 1), (OTHER, 2), ("200012345", 3)] {
            put(&town, siren, number);
        }
        town.poll().await;
        let before = feeds_of_documents(&town).await;
        configure(&town, &[("ouest", SIREN), ("nord", OTHER), ("est", "213400180")]);
        let said = town.poll().await;
        assert_eq!(said.code, 0, "round {round}: {said:?}");
        assert!(said.out.contains("fast/est/acquittements: ok"), "{said:?}");
        assert_eq!(feeds_of_documents(&town).await, before);
        assert!(town.say(&["status"]).await.out.contains("give the account a new name"));
    }
}

#[tokio::test]
async fn an_account_taken_out_and_put_back_goes_on_where_it_was() {
    let town = Town::bare().await;
    town.platform.adjust(|it| it.keep_listing = true);
    configure(&town, &[("nord", SIREN), ("sud", OTHER)]);
    put(&town, SIREN, 1);
    town.poll().await;
    configure(&town, &[("sud", OTHER)]);
    let said = town.poll().await;
    assert!(!said.out.contains("nord"), "{said:?}");
    let status = town.say(&["status", "--json"]).await;
    assert!(status.out.contains("retired"), "{status:?}");
    configure(&town, &[("nord", SIREN), ("sud", OTHER)]);
    town.poll().await;
    assert_eq!(town.downloads(), 1);
}
