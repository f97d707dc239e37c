use std::io::Cursor;

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn read(bytes: &[u8]) -> Option<Summary> {
    summarise(Cursor::new(bytes)).unwrap()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

fn acquit(elements: &str) -> Summary {
    let text = format!(
        "<?xml version='1.0' encoding='ISO-8859-1'?><n:PES_ACQUIT xmlns:n='http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/retour/v2'>\
         <Enveloppe><Parametres><TypFic V='PESALR2'/><NomFic V='D\u{e9}p\u{f4}t &amp; suite'/></Parametres></Enveloppe>\
         <EnTetePES><IdColl V='21340017200018'/></EnTetePES>{elements}</n:PES_ACQUIT>"
    );
    read(&latin1(&text)).unwrap()
}

#[test]
fn the_fixtures_say_what_they_say() {
    let fixture = |name: &str| std::fs::read(format!("tests/fixtures/content/{name}.xml")).unwrap();
    let summary = read(&fixture("pes_acquit")).unwrap();
    assert_eq!(summary.nom_fic.as_deref(), Some("PESALR2_21350012300014_20260312_0041"));
    let label = "Débiteur : l'adresse nécessaire est absente (<CP>)";
    assert_eq!(summary.rejected.as_deref(), Some([label.to_owned()].as_slice()));
    assert_eq!(
        summary.json,
        json!({
            "kind": "acquittement", "nom_fic": "PESALR2_21350012300014_20260312_0041", "id_coll": "21350012300014",
            "accepted": false,
            "errors": [{ "place": { "bordereau": "42", "piece": "118", "ligne": "1" }, "code": "304", "label": label }],
        })
    );
    let retour = read(&fixture("pes_retour")).unwrap();
    assert_eq!((retour.kind, retour.rejected), (Kind::PesRetour, None));
    assert!(retour.nom_fic.is_some() && retour.json["type"].is_string() && retour.json["id_coll"].is_string());
    assert_eq!(
        read(&fixture("cpp_facture_pivot")).unwrap().json,
        json!({ "kind": "chorus", "invoices": [{
            "id": "F-2026-0117", "id_cpro": "18832741", "supplier": "Menuiserie L’Hévéder & fils", "amount": "1500.00",
        }] })
    );
}

#[test]
fn errors_are_found_in_all_three_places_with_theirs() {
    let error = |code: u32| format!("<Erreur><NumAnoAck V='{code}'/><LibelleAnoAck V='erreur {code}'/></Erreur>");
    let elements = format!(
        "<ACQUIT><ElementACQUIT><NumBord V='1'/><EtatAck V='1'/></ElementACQUIT>\
         <ElementACQUIT>{}<DetailPiece>{}<DetailLigne>{}<NumLigne V='7'/></DetailLigne>\
         <DetailLigne><NumLigne V='8'/>{}{}</DetailLigne><NumPiece V='118'/></DetailPiece>\
         <DetailPiece><NumPiece V='119'/>{}</DetailPiece><EtatAck V='0'/><NumBord V='42'/></ElementACQUIT>\
         <ElementACQUIT><IdUnique V='U3'/><EtatAck V='0'/>{}</ElementACQUIT></ACQUIT>",
        error(1),
        error(2),
        error(3),
        error(4),
        error(5),
        error(6),
        error(7)
    );
    let summary = acquit(&elements);
    let places: Vec<Value> = summary.json["errors"].as_array().unwrap().iter().map(|it| it["place"].clone()).collect();
    assert_eq!(
        places,
        [
            json!({ "bordereau": "42" }),
            json!({ "bordereau": "42", "piece": "118" }),
            json!({ "bordereau": "42", "piece": "118", "ligne": "7" }),
            json!({ "bordereau": "42", "piece": "118", "ligne": "8" }),
            json!({ "bordereau": "42", "piece": "118", "ligne": "8" }),
            json!({ "bordereau": "42", "piece": "119" }),
            json!({ "bordereau": "U3" }),
        ]
    );
    let labels: Vec<String> = (1..=7).map(|code| format!("erreur {code}")).collect();
    assert_eq!(summary.rejected, Some(labels));
    assert_eq!(summary.nom_fic.as_deref(), Some("Dépôt & suite"));
}

#[test]
fn an_acknowledgement_is_accepted_only_as_a_whole() {
    let state = |value: &str| format!("<ElementACQUIT><EtatAck V='{value}'/></ElementACQUIT>");
    let accepted = |inner: String| acquit(&inner).json["accepted"] == true;
    assert!(accepted(format!("<ACQUIT>{}{}</ACQUIT>", state("1"), state(" 1 "))));
    assert!(accepted(String::new()));
    for refused in ["0", "", "2"] {
        assert!(!accepted(format!("<ACQUIT>{}{}</ACQUIT>", state("1"), state(refused))));
    }
    let older = |root: &str| {
        let text = format!("<{root} xmlns='http://www.minefi.gouv.fr/cp/helios/pes'><Enveloppe/></{root}>");
        read(text.as_bytes()).unwrap().rejected.is_some()
    };
    assert!(older("PES_NonAcquit") && !older("PES_Acquit"));
    assert!(older("PES_NonACQUIT") && older("pes_nonacquit") && !older("pes_acquit"));
    // What does not say that it is accepted is not.
    let error = "<Erreur><NumAnoAck V='3'/><LibelleAnoAck V='x'/></Erreur>";
    for silent in ["", error, "<NumBord V='1'/>", &format!("<DetailPiece>{error}</DetailPiece>")] {
        let element = format!("<ElementACQUIT>{silent}</ElementACQUIT>");
        assert!(!accepted(format!("<ACQUIT>{element}{}</ACQUIT>", state("1"))), "{silent}");
        assert!(!accepted(format!("<ACQUIT>{}{element}</ACQUIT>", state("1"))), "{silent}");
    }
    let silent = acquit(&format!("<ACQUIT><ElementACQUIT>{error}</ElementACQUIT></ACQUIT>"));
    assert_eq!(silent.rejected, Some(vec!["x".to_owned()]));
}

#[test]
fn roots_are_known_whatever_their_case() {
    for (root, kind) in [
        ("pes_acquit", Kind::Acquittement),
        ("PES_NONACQUIT", Kind::Acquittement),
        ("PES_RETOUR", Kind::PesRetour),
        ("cppFacturePivot", Kind::Chorus),
        ("cppfacturepivotunitaire", Kind::Chorus),
    ] {
        assert_eq!(read(format!("<{root}/>").as_bytes()).map(|it| it.kind), Some(kind), "{root}");
    }
}

#[test]
fn a_line_named_beside_an_error_of_a_piece_is_its_own() {
    let error = "<Erreur><NumAnoAck V='3'/></Erreur>";
    let summary = acquit(&format!(
        "<ACQUIT><ElementACQUIT><NumBord V='1'/><EtatAck V='0'/>\
         <DetailPiece><NumPiece V='5'/><NumLigne V='9'/>{error}<DetailLigne><NumLigne V='2'/>{error}</DetailLigne></DetailPiece>\
         <DetailPiece><NumPiece V='6'/>{error}</DetailPiece>{error}</ElementACQUIT>\
         <ElementACQUIT><NumBord V='2'/><NumPiece V='7'/><NumLigne V='1'/><EtatAck V='0'/>{error}</ElementACQUIT></ACQUIT>"
    ));
    let places: Vec<Value> = summary.json["errors"].as_array().unwrap().iter().map(|it| it["place"].clone()).collect();
    assert_eq!(
        places,
        [
            json!({ "bordereau": "1", "piece": "5", "ligne": "9" }),
            json!({ "bordereau": "1", "piece": "5", "ligne": "2" }),
            json!({ "bordereau": "1", "piece": "6" }),
            json!({ "bordereau": "1" }),
            json!({ "bordereau": "2", "piece": "7", "ligne": "1" }),
        ]
    );
}

#[test]
fn accents_come_out_right_in_every_encoding() {
    let text = |name: &str| {
        format!(
            "<?xml version='1.0' encoding='{name}'?><PES_Retour><Enveloppe><Parametres><NomFic V='\u{e9}t\u{e9}'/></Parametres></Enveloppe></PES_Retour>"
        )
    };
    for name in ["ISO-8859-1", "ISO-8859-15", "windows-1252"] {
        assert_eq!(read(&latin1(&text(name))).unwrap().nom_fic.as_deref(), Some("été"), "{name}");
    }
    assert_eq!(read(text("UTF-8").as_bytes()).unwrap().nom_fic.as_deref(), Some("été"));
    let marked = [b"\xEF\xBB\xBF".as_slice(), text("utf-8").as_bytes()].concat();
    assert_eq!(read(&marked).unwrap().nom_fic.as_deref(), Some("été"));
}

#[test]
fn a_flow_of_invoices_is_read_whatever_its_root_and_whatever_hangs_on_it() {
    let attachment = "QUJD".repeat(3 << 20);
    let unit = |id: &str| {
        format!(
            "<CPPFacturePivotUnitaire NumOrdre='1'><Fournisseur><Identifiant>123</Identifiant></Fournisseur><DonneesFacture>\
             <Id><![CDATA[{id}]]></Id><Montants><MontantNetAPayer>9,50</MontantNetAPayer></Montants></DonneesFacture>\
             <PJ><Id>no</Id><Contenu>{attachment}</Contenu></PJ></CPPFacturePivotUnitaire>"
        )
    };
    let expected = |ids: &[&str]| -> Vec<Value> {
        ids.iter().map(|id| json!({ "id": id, "id_cpro": null, "supplier": "123", "amount": "9,50" })).collect()
    };
    let two = format!("<CPPFactures Compteur='2'>{}{}</CPPFactures>", unit("A&B"), unit("2"));
    let whole = format!("<CPPFacturePivot><Enveloppe><Id>x</Id></Enveloppe>{two}</CPPFacturePivot>");
    for text in [two, whole] {
        assert_eq!(read(text.as_bytes()).unwrap().json["invoices"], json!(expected(&["A&B", "2"])));
    }
    assert_eq!(read(unit("7").as_bytes()).unwrap().json["invoices"], json!(expected(&["7"])));
}

#[test]
fn what_is_taken_is_limited() {
    let one = "<ElementACQUIT><EtatAck V='0'/><Erreur><LibelleAnoAck V='x'/></Erreur></ElementACQUIT>";
    let summary = acquit(&format!("<ACQUIT>{}</ACQUIT>", one.repeat(1500)));
    assert_eq!(summary.json["errors"].as_array().unwrap().len(), 1000);
    assert_eq!(summary.json["more_errors"], 500);
    let long = format!(
        "<PES_Retour><Enveloppe><Parametres><NomFic V='{}'/></Parametres></Enveloppe></PES_Retour>",
        "n".repeat(60_000)
    );
    assert_eq!(read(long.as_bytes()).unwrap().nom_fic.unwrap().chars().count(), 512);
}

#[test]
fn what_is_no_return_has_no_summary() {
    for text in [
        "<PES_Autre/>",
        "<a><PES_ACQUIT/></a>",
        "%PDF-1.7",
        "",
        "<?xml version='1.0' encoding='klingon'?><PES_Retour/>",
    ] {
        assert_eq!(read(text.as_bytes()), None, "{text}");
    }
}

#[cfg(feature = "simulator")]
#[test]
fn the_samples_are_read() {
    use crate::simulator::samples::{self, Verdict};
    let refused = read(&samples::acquittement(7, "PES7", Verdict::Refused, 9000)).unwrap();
    assert_eq!((refused.nom_fic.as_deref(), refused.rejected.map(|labels| labels.len())), (Some("PES7"), Some(3)));
    assert_eq!(read(&samples::acquittement(8, "PES8", Verdict::Accepted, 9000)).unwrap().rejected, None);
    assert_eq!(read(&samples::chorus(9, 3, 9000)).unwrap().json["invoices"].as_array().unwrap().len(), 3);
    assert_eq!(read(&samples::pes_retour(9, "21340017200018", 2000)).unwrap().json["id_coll"], "21340017200018");
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0usize..2000, cut in 0usize..2000) {
        let mut text = std::fs::read("tests/fixtures/content/pes_acquit.xml").unwrap();
        for (index, byte) in bytes.iter().enumerate() {
            let length = text.len();
            text[(at + index * 13) % length] = *byte;
        }
        text.truncate(cut);
        let _ = read(&text);
        let _ = read(&bytes);
    }
}

#[test]
fn a_deposit_that_comes_back_signed_is_told_by_its_root() {
    let text = "<n:PES_Aller xmlns:n='urn:x'><Enveloppe><Parametres><TypFic V='PESALR2'/><NomFic V='D1'/></Parametres></Enveloppe>\
                <PES_DepenseAller/></n:PES_Aller>";
    let summary = read(text.as_bytes()).unwrap();
    assert_eq!((summary.kind, summary.nom_fic.as_deref()), (Kind::PesAller, Some("D1")));
    assert_eq!(summary.json["kind"], "pes_aller");
}
