//! FAST over WebDAV: what a document is, what is removed and when, and what is left alone.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::shares::{acquittement, of, ok, reconfigure, town};
use common::{SIREN, Town, sample};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Dialect, Etags, Fault, Matcher, Times};

#[tokio::test]
async fn a_name_used_again_is_another_document_in_every_dialect() {
    let dialects = [
        Dialect { prefix: Some("D"), ..Dialect::default() },
        Dialect { prefix: None, absolute: true, ..Dialect::default() },
        Dialect { prefix: Some("lp1"), split: true, lower: true, etags: Etags::Weak, ..Dialect::default() },
        Dialect { prefix: Some("é"), etags: Etags::None, ..Dialect::default() },
        Dialect { prefix: Some("D"), etags: Etags::WeakAtFirst, ..Dialect::default() },
    ];
    for dialect in dialects {
        let town = town("feeds = [\"acquittements\"]", "").await;
        town.platform.adjust(|it| it.dialect = dialect);
        let name = "PES/Été 100%25 #1+2&;'é.xml";
        town.platform.put_file(SIREN, name, acquittement(1));
        ok(&town).await;
        // Without entity tags the size and the second tell versions apart.
        town.platform.put_file(SIREN, name, sample(Kind::Acquittements, 2, 3000));
        ok(&town).await;
        let rows =
            town.query("SELECT archive_path, circuit FROM documents WHERE released_at IS NOT NULL ORDER BY id").await;
        let kept: Vec<Vec<u8>> = rows.iter().map(|row| std::fs::read(town.state().join(&row[0])).unwrap()).collect();
        assert_eq!(kept.len(), 2, "{dialect:?}");
        assert!(kept == [acquittement(1), sample(Kind::Acquittements, 2, 3000)], "{dialect:?}");
        assert_eq!(rows[0][1], "PES");
        assert_eq!(town.platform.files(SIREN), Vec::<String>::new(), "{dialect:?}");
    }
}

#[tokio::test]
async fn a_file_replaced_before_its_removal_is_left_for_the_next_poll() {
    for etags in [Etags::Strong, Etags::WeakAtFirst, Etags::Weak, Etags::None] {
        let town = town("feeds = [\"acquittements\"]", "").await;
        town.platform.adjust(|it| it.dialect.etags = etags);
        town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
        town.platform.set_fault(Matcher::releases(), Fault::Reset, Times::Always);
        ok(&town).await;
        assert_eq!(town.platform.files(SIREN), ["PES/a.xml"]);
        town.platform.clear_faults();
        let second = sample(Kind::Acquittements, 2, 5000);
        town.platform.put_file(SIREN, "PES/a.xml", second.clone());
        // The new one does not come yet: only the old one could be removed, and is not there any more.
        town.platform.set_fault(Matcher::downloads(), Fault::Status(400, "no".into(), Vec::new()), Times::Once);
        assert_eq!(town.poll().await.code, 75);
        assert_eq!(town.platform.files(SIREN), ["PES/a.xml"], "{etags:?}");
        ok(&town).await;
        let last = town.value("SELECT archive_path FROM documents ORDER BY id DESC LIMIT 1").await;
        assert!(std::fs::read(town.state().join(last)).unwrap() == second, "{etags:?}");
        assert_eq!(town.platform.files(SIREN), Vec::<String>::new(), "{etags:?}");
        assert_eq!(town.value("SELECT count(*) FROM documents WHERE released_at IS NOT NULL").await, "2");
        let told: Vec<Option<u16>> = of(&town, Call::Release).into_iter().map(|record| record.status).collect();
        // The server compares strong tags itself; of others, we do.
        let strong = etags == Etags::Strong;
        let expected: &[Option<u16>] =
            if strong { &[None, None, Some(412), Some(204)] } else { &[None, None, Some(204)] };
        assert_eq!(told, expected, "{etags:?}");
    }
}

#[tokio::test]
async fn with_release_delivered_a_file_stays_until_every_target_has_it() {
    let targets = "[[delivery.targets]]\nname = \"one\"\nfeeds = [\"fast/*\"]\ninbox = \"one\"\n";
    let blocked = "[[delivery.targets]]\nname = \"two\"\nfeeds = [\"fast/*\"]\ninbox = \"two\"\n";
    let town = town("feeds = [\"acquittements\"]\nrelease = \"delivered\"", &format!("{targets}{blocked}")).await;
    std::fs::write(town.folder.path().join("two"), "in the way").unwrap();
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    ok(&town).await;
    ok(&town).await;
    assert_eq!((of(&town, Call::Release).len(), of(&town, Call::Download).len()), (0, 1));
    assert_eq!(town.value("SELECT state FROM documents").await, "stored");
    // Nobody else wants it any more.
    reconfigure(&town, blocked, "");
    ok(&town).await;
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
}

#[tokio::test]
async fn a_removal_that_fails_is_shown_and_tried_again_until_it_is_done() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.set_fault(Matcher::releases(), Fault::Status(423, "Locked".into(), Vec::new()), Times::Always);
    ok(&town).await;
    let status = town.feed_status().await;
    assert_eq!(status["failed_releases"], 1, "{status}");
    let said = town.say(&["status"]).await;
    assert!(
        said.out.contains("1 held of fast/mairie/acquittements could not be removed from the platform")
            && said.out.contains("423"),
        "{said:?}"
    );
    ok(&town).await;
    assert_eq!(of(&town, Call::Download).len(), 1, "it is held: never asked for again");
    town.platform.clear_faults();
    ok(&town).await;
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
    assert_eq!(town.feed_status().await["failed_releases"], 0);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE released_at IS NOT NULL").await, "1");
}

#[tokio::test]
async fn a_file_that_someone_removed_meanwhile_is_released_all_the_same() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/a.xml", acquittement(1));
    town.platform.set_fault(Matcher::releases(), Fault::Reset, Times::Always);
    ok(&town).await;
    assert_eq!(of(&town, Call::Release).len(), 2, "twice in one poll");
    town.platform.clear_faults();
    town.platform.remove_file(SIREN, "PES/a.xml");
    ok(&town).await;
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE released_at IS NOT NULL").await, "1");
}

#[tokio::test]
async fn a_file_still_being_written_is_left_for_the_next_poll() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    let bytes = acquittement(1);
    town.platform.adjust(|it| it.dialect.etags = Etags::None);
    town.platform.put_unfinished(SIREN, "PES/a.xml", bytes.clone(), bytes.len() - 500);
    town.platform.put_file(SIREN, "PES/empty.xml", "");
    ok(&town).await;
    assert_eq!(town.value("SELECT group_concat(state || ' ' || attempts) FROM documents").await, "listed 0");
    assert_eq!(of(&town, Call::Release).len(), 0);
    town.platform.put_file(SIREN, "PES/a.xml", bytes.clone());
    ok(&town).await;
    let path = town.value("SELECT archive_path FROM documents").await;
    assert_eq!(town.value("SELECT count(*) FROM documents").await, "1", "it is the same document");
    assert!(std::fs::read(town.state().join(path)).unwrap() == bytes);
}

#[tokio::test]
async fn only_the_circuits_named_are_collected_and_the_others_are_a_note() {
    let town = town("feeds = [\"acquittements\"]\ncircuits = [\"PES\", \"Absent\"]", "").await;
    town.platform.put_file(SIREN, "PES/TesoT/a.xml", acquittement(1));
    town.platform.put_file(SIREN, "Marches/b.xml", acquittement(2));
    town.platform.put_file(SIREN, "loose.xml", acquittement(3));
    town.platform.make_folder(SIREN, "Bureautique");
    town.platform.put_file(SIREN, "PES_Retour/c.xml", sample(Kind::PesRetour, 3, 900));
    ok(&town).await;
    assert_eq!(town.value("SELECT group_concat(circuit || '/' || label) FROM documents").await, "PES/TesoT");
    assert_eq!(town.platform.files(SIREN), ["Marches/b.xml", "PES_Retour/c.xml", "loose.xml"]);
    let note = town.feed_status().await["note"].as_str().unwrap().to_owned();
    for part in
        ["out/Marches holds 1 entries, and is not among", "1 files outside of any circuit", "out/ has no folder Absent"]
    {
        assert!(note.contains(part), "{note}");
    }
    assert!(!note.contains("Bureautique"), "{note}");
    // The label vanished with its last file.
    ok(&town).await;
}

#[tokio::test]
async fn acknowledgements_and_signed_files_share_a_listing_and_are_told_apart_by_what_they_are() {
    let town = town("feeds = [\"acquittements\", \"signes\", \"pes-retour\"]", "").await;
    let signed = sample(Kind::Signes, 7, 4000);
    town.platform.put_file(SIREN, "PES/acquit.pdf", acquittement(1));
    town.platform.put_file(SIREN, "PES/TesoT/marché signé.pdf", signed.clone());
    ok(&town).await;
    let rows = town.query("SELECT feed, name, circuit, label, archive_path FROM documents ORDER BY feed").await;
    assert_eq!(rows[0][..2], ["fast/mairie/acquittements", "PES1"]);
    assert_eq!(rows[1][..4], ["fast/mairie/signes", "", "PES", "TesoT"]);
    assert!(rows[1][4].starts_with("archive/fast/mairie/signes/") && rows[1][4].ends_with(".pdf"), "{rows:?}");
    assert!(std::fs::read(town.state().join(&rows[1][4])).unwrap() == signed);
    let inbox: Vec<String> = town.inbox_files().iter().map(|path| path.display().to_string()).collect();
    assert!(
        inbox.iter().any(|path| path.starts_with("fast/mairie/acquittements/") && path.ends_with("-PES1.xml")),
        "{inbox:?}"
    );
    assert!(inbox.iter().any(|path| path.starts_with("fast/mairie/signes/")), "{inbox:?}");
    ok(&town).await;
    assert_eq!(of(&town, Call::Download).len(), 2);
    // Each folder is listed once a poll, whoever its documents are for.
    let listed: Vec<Option<String>> = of(&town, Call::List).into_iter().map(|record| record.id).collect();
    let of_pes = listed.iter().filter(|id| id.as_deref() == Some("PES")).count();
    assert_eq!(of_pes, 2, "{listed:?}");
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
    let (status, _) = town.status().await;
    let signes = status["feeds"].as_array().unwrap().iter().find(|feed| feed["feed"] == "fast/mairie/signes").unwrap();
    assert_eq!(signes["listed_with"], "fast/mairie/acquittements", "{signes}");
    assert_eq!(signes["last_outcome"], "ok", "{signes}");
}

#[tokio::test]
async fn what_is_not_collected_stays_on_the_platform_until_it_is() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/signed.pdf", sample(Kind::Signes, 7, 4000));
    town.platform.put_file(SIREN, "PES/acquit.xml", acquittement(1));
    ok(&town).await;
    ok(&town).await;
    assert_eq!(town.platform.files(SIREN), ["PES/signed.pdf"]);
    assert_eq!(of(&town, Call::Download).len(), 2, "looked at once");
    let error = town.value("SELECT error FROM documents WHERE state = 'skipped'").await;
    assert!(error.contains("a signed file, and fast/mairie/signes is not collected"), "{error}");
    reconfigure(&town, "feeds = [\"acquittements\"]", "feeds = [\"acquittements\", \"signes\"]");
    ok(&town).await;
    assert_eq!(town.value("SELECT state FROM documents WHERE feed = 'fast/mairie/signes'").await, "delivered");
    assert_eq!(town.platform.files(SIREN), Vec::<String>::new());
}

#[tokio::test]
async fn every_folder_of_a_poll_counts_for_the_interval() {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("1h", "connector = \"webdav\"\n", &format!("{mairie}feeds = [\"acquittements\"]\n"));
    for folder in ["PES", "Marches", "Bureautique"] {
        town.platform.make_folder(SIREN, folder);
    }
    town.platform.adjust(|it| it.latency = std::time::Duration::from_millis(60));
    ok(&town).await;
    let listings = of(&town, Call::List);
    assert_eq!(listings.len(), 4);
    let last: jiff::Timestamp = town.value("SELECT last_listed_at FROM feeds").await.parse().unwrap();
    let gap = listings[3].at.duration_since(last);
    assert!(gap.abs() < jiff::SignedDuration::from_millis(50), "{gap:?}");
    assert!(last > listings[0].at, "the last of them counts, not the first");
    let said = town.poll().await;
    assert_eq!(of(&town, Call::List).len(), 4, "{said:?}");
}

#[tokio::test]
async fn a_folder_that_vanished_is_empty_and_a_siren_without_folders_is_an_error() {
    let town = town("feeds = [\"pes-retour\", \"chorus\"]", "").await;
    ok(&town).await;
    let other = town.stranger("ccas", "213400999", Standing::Valid);
    town.configure("1ms", "connector = \"webdav\"\n", &format!("{other}feeds = [\"acquittements\"]\n"));
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    assert!(said.out.contains("there is no out/ for this SIREN"), "{said:?}");
}

#[tokio::test]
async fn xml_that_nobody_knows_is_handed_over_and_a_signed_deposit_is_not_taken_for_an_acknowledgement() {
    let town = town("feeds = [\"acquittements\"]", "").await;
    town.platform.put_file(SIREN, "PES/inconnu.xml", "<enveloppe><PES_ACQUIT/></enveloppe>");
    town.platform.put_file(SIREN, "PES/depot.xml", "<n:PES_Aller xmlns:n='urn:x'><Enveloppe/></n:PES_Aller>");
    ok(&town).await;
    assert_eq!(town.inbox_files().len(), 1);
    assert_eq!(town.platform.files(SIREN), ["PES/depot.xml"]);
    let states = "SELECT group_concat(state, ',' ORDER BY remote_id) FROM documents";
    assert_eq!(town.value(states).await, "skipped,delivered");
}
