//! What came back: what acknowledgements, PES-Retour and invoices say, in the ledger, the log and the commands.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{SIREN, Town};
use serde_json::Value;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::samples::{self, Verdict};

const FIRST: &str = "Bordereau déjà intégré pour l'exercice";

async fn town() -> Town {
    let town = Town::with_interval("1ms").await;
    let acquittement = |number, name, verdict| samples::acquittement(number, name, verdict, 3000);
    town.platform.put(SIREN, Kind::Acquittements, 1, acquittement(1, "PESALR2_mairie_1", Verdict::Accepted));
    town.platform.put(SIREN, Kind::Acquittements, 2, acquittement(2, "PESALR2 mairie/2", Verdict::Refused));
    town.platform.put(SIREN, Kind::PesRetour, 3, samples::pes_retour(3, "21340017200018", 2000));
    town.platform.put(SIREN, Kind::Chorus, 4, samples::chorus(4, 2, 4000));
    // Well-formed, and nothing that is known: kept and delivered all the same.
    town.platform.put(SIREN, Kind::Acquittements, 5, b"<autre><PES_ACQUIT/></autre>".to_vec());
    town
}

#[tokio::test]
async fn summaries_stand_in_the_ledger_and_names_in_the_inbox() {
    let town = town().await;
    let said = town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    let summary = |id: &'static str| {
        let town = &town;
        async move { serde_json::from_str::<Value>(&town.about(id, "summary").await).unwrap() }
    };
    assert_eq!(summary("1").await["accepted"], true);
    let refused = summary("2").await;
    assert_eq!((&refused["accepted"], &refused["nom_fic"]), (&false.into(), &"PESALR2 mairie/2".into()));
    assert_eq!(refused["errors"][0]["label"], FIRST);
    assert_eq!(refused["errors"][2]["place"]["ligne"], "1");
    assert_eq!(summary("3").await["id_coll"], "21340017200018");
    assert_eq!(summary("4").await["invoices"].as_array().unwrap().len(), 2);
    assert_eq!(town.about("5", "state, coalesce(summary, 'none')").await, "delivered none");
    let inbox: Vec<String> = town.inbox_files().iter().map(|path| path.display().to_string()).collect();
    assert!(inbox.contains(&"fast/mairie/acquittements/1-PESALR2_mairie_1.xml".to_owned()), "{inbox:?}");
    let second = inbox.iter().find(|path| path.contains("acquittements/2-")).unwrap();
    assert!(second.starts_with("fast/mairie/acquittements/2-PESALR2mairie2~"), "{second}");
}

#[tokio::test]
async fn a_refusal_is_a_warning_with_its_labels() {
    let town = town().await;
    let daemon = town.start().await;
    let event = daemon.wait_event("document.rejected").await;
    assert_eq!((&event["level"], &event["remote_id"]), (&"WARN".into(), &"2".into()), "{event}");
    assert!(event["labels"].as_str().unwrap().starts_with(FIRST), "{event}");
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", "5").await;
    assert_eq!(daemon.events("document.rejected").len(), 1);
}

#[tokio::test]
async fn documents_are_found_by_what_they_say() {
    let town = town().await;
    town.poll().await;
    let said = town.say(&["documents", "--rejected"]).await;
    assert!(
        said.out.lines().count() == 2 && said.out.contains("REFUSED PESALR2 mairie/2: ") && said.out.contains(FIRST),
        "{said:?}"
    );
    let said = town.say(&["documents", "--name", "PESALR2_mairie_1"]).await;
    assert!(said.out.lines().count() == 2 && said.out.contains("accepted PESALR2_mairie_1"), "{said:?}");
    let said = town.say(&["documents", "--rejected", "--json"]).await;
    let found: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(found[0]["summary"]["errors"][0]["code"], "201");
    let said = town.say(&["documents", "fast/mairie/acquittements", "--csv"]).await;
    let lines: Vec<&str> = said.out.split("\r\n").collect();
    assert_eq!(lines[0], "feed,id,name,size,sha256,listed_at,requested_at,stored_at,released_at,state,outcome");
    assert!(lines[2].starts_with("fast/mairie/acquittements,2,PESALR2 mairie/2,3000,"), "{lines:?}");
    assert!(lines[2].ends_with(",,delivered,refused"), "{lines:?}");
}

#[tokio::test]
async fn what_is_accepted_was_not_refused_for_its_remarks() {
    let town = Town::with_interval("1ms").await;
    let text = "<n:PES_ACQUIT xmlns:n='x'><ACQUIT><ElementACQUIT><EtatAck V='1'/><Erreur><NumAnoAck V='9'/>\
                <LibelleAnoAck V='Tiers inconnu'/></Erreur></ElementACQUIT></ACQUIT></n:PES_ACQUIT>";
    town.platform.put(SIREN, Kind::Acquittements, 1, text.as_bytes().to_vec());
    town.poll().await;
    let said = town.say(&["show", "1"]).await;
    assert!(said.out.contains("remark:        9 Tiers inconnu") && !said.out.contains("refused"), "{said:?}");
}

#[tokio::test]
async fn names_cannot_become_formulas_or_break_a_table() {
    let town = Town::with_interval("1ms").await;
    let bytes = samples::acquittement(1, "=1+\"2\",x", Verdict::Accepted, 3000);
    town.platform.put(SIREN, Kind::Acquittements, 1, bytes);
    town.poll().await;
    let said = town.say(&["documents", "--csv"]).await;
    assert!(said.out.contains(",\"'=1+\"\"2\"\",x\","), "{said:?}");
}

#[tokio::test]
async fn show_prints_the_whole_file_of_a_document() {
    let town = town().await;
    town.poll().await;
    let said = town.say(&["show", "PESALR2 mairie/2"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let sha256 = town.about(2, "sha256").await;
    for part in [
        "fast/mairie/acquittements",
        "refused",
        FIRST,
        "733 ",
        "(bordereau ",
        "piece ",
        "ligne 1)",
        &sha256,
        "inbox: delivered",
        "tries:",
    ] {
        assert!(said.out.contains(part), "{part}: {said:?}");
    }
    let by_id = town.say(&["show", "4", "--json"]).await;
    let found: Value = serde_json::from_str(&by_id.out).unwrap();
    assert_eq!(
        (found[0]["feed"].as_str(), found[0]["deliveries"][0]["state"].as_str()),
        (Some("fast/mairie/chorus"), Some("delivered"))
    );
    let none = town.say(&["show", "nothing"]).await;
    assert_eq!(none.code, 1);
    assert!(none.err.contains("no document of the id or NomFic «nothing»") && none.err.contains("remedy"), "{none:?}");
}
