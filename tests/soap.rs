//! FAST over SOAP: every form of an answer, faults by what they mean, signed documents, and documents of any size.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::{SIREN, Town, sample};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Framing, Matcher, Mtom, Times};

async fn town(fast: &str, account: &str) -> Town {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("1ms", &format!("connector = \"soap\"\n{fast}"), &format!("{mairie}{account}\n"));
    town
}

fn fault(text: &str) -> Vec<u8> {
    format!(
        "<soap:Envelope xmlns:soap=\"http://schemas.xmlsoap.org/soap/envelope/\"><soap:Body><soap:Fault>\
         <faultcode>soap:Server</faultcode><faultstring>{text}</faultstring></soap:Fault></soap:Body></soap:Envelope>"
    )
    .into_bytes()
}

#[tokio::test]
async fn a_document_is_the_same_in_whatever_form_it_comes() {
    let town = town("", "feeds = [\"chorus\"]").await;
    let forms = [
        Mtom::Inline,
        Mtom::Wrapped,
        Mtom::Unnamed,
        Mtom::Western,
        Mtom::Ahead,
        Mtom::Related { quoted: true, encoded: false },
        Mtom::Related { quoted: false, encoded: true },
    ];
    let mut number = 0;
    for mtom in forms {
        for framing in [Framing::Length, Framing::Chunked, Framing::Close] {
            number += 1;
            town.platform.adjust(|it| (it.mtom, it.framing) = (mtom, framing));
            let bytes = sample(Kind::Chorus, number, 70_001);
            town.platform.put(SIREN, Kind::Chorus, number, bytes.clone());
            let said = town.poll().await;
            assert_eq!(said.code, 0, "{mtom:?} {framing:?}: {said:?}");
            let path = town.about(number, "archive_path").await;
            assert!(std::fs::read(town.state().join(path)).unwrap() == bytes, "{mtom:?} {framing:?}");
        }
    }
    assert_eq!(town.downloads(), 21);
}

#[tokio::test]
async fn faults_mean_what_they_say_whatever_their_status() {
    for status in [200, 400, 500] {
        let town = town("", "feeds = [\"acquittements\"]").await;
        for number in 1..=3 {
            town.put(number);
        }
        let says =
            |text: &str| Fault::Status(status, fault(text).into(), vec![("Content-Type".into(), "text/xml".into())]);
        town.platform.set_fault(Matcher::download(1), says("LE N\u{152}UD N'EXISTE PAS"), Times::Always);
        let broken = "Erreur lors de la récupération du contenu du document";
        town.platform.set_fault(Matcher::download(2), says(broken), Times::Always);
        let said = town.poll().await;
        assert_eq!(said.code, 75, "{said:?}");
        assert_eq!(town.state_of(1).await, "gone", "{status}");
        assert_eq!(town.about(2, "state, attempts").await, "failed 1", "{status}");
        assert_eq!(town.state_of(3).await, "delivered", "{status}");
        town.platform.clear_faults();
        let refused = "Erreur lors de l'authentification, Utilisateur non reconnu";
        town.platform.set_fault(Matcher::listings(), says(refused), Times::Always);
        let said = town.poll().await;
        assert_eq!(said.code, 75, "{said:?}");
        assert!(said.out.contains("FAST refuses the certificate") && said.out.contains("non reconnu"), "{said:?}");
        assert_eq!(town.about(2, "attempts").await, "1", "a closed door costs no try");
    }
}

#[tokio::test]
async fn signed_documents_are_listed_by_circuit() {
    let town = town("", "feeds = [\"signes\"]\ncircuits = [\"Marches\", \"Bureautique\"]").await;
    let (first, second) = (sample(Kind::Signes, 1, 3000), sample(Kind::Signes, 2, 3000));
    town.platform.put_signed(SIREN, "Marches", 501, first.clone());
    town.platform.put_signed(SIREN, "Bureautique", 502, second.clone());
    town.platform.put_signed(SIREN, "Autre", 503, second.clone());
    let said = town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.about(501, "circuit, state").await, "Marches delivered");
    let path = town.about(502, "archive_path").await;
    assert!(std::fs::read(town.state().join(path)).unwrap() == second);
    assert_eq!((town.listings(), town.downloads()), (2, 2));
    assert_eq!(town.platform.remaining(SIREN, Kind::Signes), ["503"]);
}

#[tokio::test]
async fn hostile_envelopes_are_never_kept_and_stop_no_other_document() {
    let town = town("", "feeds = [\"acquittements\"]").await;
    let envelope = |inner: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><r><return>{inner}</return></r></e:Body>\
             </e:Envelope>"
        )
    };
    let bomb = "<!DOCTYPE e:Envelope [<!ENTITY a \"QUJDQUJD\"><!ENTITY b \"&a;&a;&a;&a;\">]>".to_owned()
        + &envelope("<content>&b;&b;</content>");
    let faults = [
        bomb,
        envelope(&format!("{}<content>QUJD</content>{}", "<a>".repeat(900), "</a>".repeat(900))),
        envelope("<content>QUJDR</content>"),
        envelope("<content>QUJD</content><content>QUJD</content>"),
        envelope("<content>QUJD<b/>REVG</content>"),
        envelope("<content>QUJD</content><documentId>999</documentId>"),
        envelope(&"<a/>".repeat(50_000)),
        envelope("<documentId>5</documentId>"),
        envelope("<content>QU*D</content>"),
        envelope(&format!("<content>{}</content>", " ".repeat(200_000))),
    ];
    for (number, text) in (1..).zip(faults) {
        town.put(number);
        town.platform.set_fault(Matcher::download(number), Fault::Replace(text.into_bytes().into()), Times::Always);
    }
    town.put(100);
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    assert_eq!(town.state_of(100).await, "delivered", "{said:?}");
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE archive_path IS NOT NULL").await, "1");
    // Each comes once the platform answers honestly.
    town.platform.clear_faults();
    for row in town.query("SELECT remote_id FROM documents WHERE state = 'failed'").await {
        town.say(&["retry", "fast/mairie/acquittements", &row[0]]).await;
    }
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "11");
}

#[tokio::test]
async fn faults_are_understood_in_any_form_they_come_in() {
    for mtom in [Mtom::Western, Mtom::Related { quoted: true, encoded: false }] {
        let town = town("", "feeds = [\"acquittements\"]").await;
        town.platform.adjust(|it| it.mtom = mtom);
        town.put(1);
        town.poll().await;
        assert_eq!(town.state_of(1).await, "delivered");
        // Someone else collects the second between its listing and its download.
        town.put(2);
        town.platform.set_fault(Matcher::download(2), Fault::Status(503, "busy".into(), Vec::new()), Times::Once);
        town.poll().await;
        town.platform.remove(Kind::Acquittements, 2);
        town.poll().await;
        assert_eq!(town.state_of(2).await, "gone", "{mtom:?}: {}", town.about(2, "error").await);
    }
}

#[tokio::test]
async fn only_a_document_that_is_denied_itself_is_given_up() {
    let town = town("", "feeds = [\"acquittements\"]").await;
    town.put(1);
    for text in ["Subscriber not found | Client introuvable", "Service introuvable", "L'utilisateur n'existe pas"] {
        let says = Fault::Status(500, fault(text).into(), vec![("Content-Type".into(), "text/xml".into())]);
        town.platform.set_fault(Matcher::download(1), says, Times::Always);
        let said = town.poll().await;
        assert_eq!(said.code, 75, "{text}: {said:?}");
        assert_ne!(town.state_of(1).await, "gone", "{text}");
        town.platform.clear_faults();
    }
    // What is wrong with the one address of all documents says nothing of them: nothing counts.
    town.put(2);
    town.put(3);
    let tries = "SELECT sum(attempts) FROM documents";
    let before = town.value(tries).await;
    for status in [400, 405, 415] {
        let says = Fault::Status(status, "<html>no</html>".into(), Vec::new());
        town.platform.set_fault(Matcher::downloads(), says, Times::Always);
        town.poll().await;
        assert_eq!(town.value(tries).await, before, "{status}");
        town.platform.clear_faults();
    }
    assert_eq!(town.poll().await.code, 0);
    assert_eq!(town.value("SELECT count(*) FROM documents WHERE state = 'delivered'").await, "3");
}

/// Bytes that were set aside of a document.
async fn aside(town: &Town, number: u64) -> Vec<u8> {
    std::fs::read(town.state().join(town.about(number, "quarantine_path").await)).unwrap()
}

#[tokio::test]
async fn a_document_whose_envelope_is_doubtful_is_set_aside_and_can_be_accepted() {
    let town = town("", "feeds = [\"acquittements\"]").await;
    let bytes = town.put(1);
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &bytes);
    let answer = |inner: &str| {
        format!(
            "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><r>{inner}</r></e:Body></e:Envelope>"
        )
    };
    let says = |number: u64, body: String| {
        town.platform.set_fault(Matcher::download(number), Fault::Replace(body.into_bytes().into()), Times::Always);
    };
    says(1, answer(&format!("<return><content>{text}</content><documentId>999</documentId></return>")));
    // Nothing of a document can be found in it: it is set aside as it came.
    town.put(2);
    let odd = answer(&format!("<return><contenu>{text}</contenu></return>"));
    says(2, odd.clone());
    town.put(3);
    town.platform.set_fault(Matcher::download(3), Fault::GzipNonsense, Times::Always);
    let said = town.poll().await;
    assert_eq!(said.code, 75, "{said:?}");
    for number in 1..=3 {
        assert_eq!(town.about(number, "state, attempts").await, "failed 1", "{said:?}");
    }
    assert!(town.about(1, "error").await.contains("999"));
    assert!(aside(&town, 1).await == bytes && aside(&town, 2).await == odd.as_bytes());
    assert!(town.about(3, "error").await.contains("gzip") && !aside(&town, 3).await.is_empty());
    // The same again ends the tries.
    town.poll().await;
    assert_eq!(town.state_of(1).await, "abandoned");
    let said = town.say(&["retry", "fast/mairie/acquittements", "1", "--accept"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(town.state_of(1).await, "delivered");
    let path = town.about(1, "archive_path").await;
    assert!(std::fs::read(town.state().join(path)).unwrap() == bytes);
}

#[tokio::test]
async fn a_document_given_once_in_an_answer_without_one_is_lost_and_not_gone() {
    let town = town("", "feeds = [\"acquittements\"]").await;
    town.put(1);
    let nothing = "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body><r><return><documentId>1\
                   </documentId></return></r></e:Body></e:Envelope>";
    town.platform.set_fault(Matcher::download(1), Fault::Replace(nothing.into()), Times::Once);
    town.poll().await;
    town.platform.remove(Kind::Acquittements, 1);
    town.poll().await;
    assert_eq!(town.state_of(1).await, "lost");
    assert!(aside(&town, 1).await == nothing.as_bytes());
}

#[tokio::test]
async fn what_came_of_a_transfer_that_broke_is_set_aside_however_small() {
    let town = town("timeout = \"500ms\"\n", "feeds = [\"acquittements\"]").await;
    let bytes = town.put(1);
    // All of it came, and then the connection broke.
    town.platform.set_fault(Matcher::download(1), Fault::WrongLength(900_000), Times::Always);
    town.poll().await;
    let files = town.every_file("archive/quarantine");
    assert_eq!(files.len(), 1, "{files:?}");
    assert!(std::fs::read(&files[0]).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_of_200_mib_is_streamed() {
    let town = town("max_document = \"256MiB\"\ntimeout = \"30s\"\n", "feeds = [\"chorus\"]").await;
    let bytes = sample(Kind::Chorus, 1, 200 << 20);
    town.platform.put(SIREN, Kind::Chorus, 1, bytes.clone());
    let mut command = tokio::process::Command::new("sh");
    let binary = env!("CARGO_BIN_EXE_vaguemestre");
    let config = town.config();
    // The peak of the process's memory, in KiB.
    let script = format!("exec env time -f PEAK=%M '{binary}' --config '{}' poll 'fast/*'", config.display());
    if std::process::Command::new("time").arg("--version").output().is_err() {
        common::skip("GNU time is not installed (Debian: package time)");
        return;
    }
    let output = command.arg("-c").arg(script).output().await.unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    let path = town.about(1, "archive_path").await;
    assert!(std::fs::read(town.state().join(path)).unwrap() == bytes);
    let peak: u64 = text.rsplit_once("PEAK=").unwrap().1.trim().parse().unwrap();
    assert!(peak < 48 << 10, "{peak} KiB");
}
