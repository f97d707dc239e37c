//! Documents such as the platform hands out: plausible, invented, and the same for the same number.
//!
//! Every generator takes a `size`: the document is then exactly that many bytes long, unless that is too short for it.
//! It grows as such documents do in life (more elements, a longer attachment), and white space makes up the rest.

use std::fmt::Write;

/// What the accounting officer's system thinks of a deposit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every element accepted.
    Accepted,
    /// One element refused, with errors in each of the three places they can have; the others accepted.
    Refused,
}

const SUPPLIERS: [&str; 6] = [
    "Société des Eaux de l'Étang",
    "Boulangerie Lefèvre & Fils",
    "Électricité générale Müller",
    "Garage de la Forêt",
    "Pépinières du Chêne-Vert",
    "Imprimerie Façonnable",
];

const OBJECTS: [&str; 5] = [
    "Réfection de la toiture de l'école",
    "Fournitures de bureau - 2e trimestre",
    "Location d'une nacelle élévatrice",
    "Entretien des espaces verts",
    "Dégâts des eaux à la médiathèque",
];

/// An Hélios acknowledgement (PES_ACQUIT, ISO-8859-1) of the deposit named `nom_fic`.
#[must_use]
pub fn acquittement(number: u64, nom_fic: &str, verdict: Verdict, size: usize) -> Vec<u8> {
    let mut head = String::from(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n\
         <n:PES_ACQUIT xmlns:n=\"http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/retour/v2\">\n",
    );
    envelope(&mut head, "PESALR2", nom_fic, number);
    head.push_str("<ACQUIT>\n");
    let element = |index: u64| {
        let refused = verdict == Verdict::Refused && index == 0;
        element_acquit(number.wrapping_mul(10) % 90_000 + index, refused)
    };
    let body = Filled { head, tail: "</ACQUIT>\n</n:PES_ACQUIT>\n".to_owned(), least: 2, size };
    latin1(&body.fill(element))
}

/// A PES-Retour (ISO-8859-1) for the establishment with this SIRET.
#[must_use]
pub fn pes_retour(number: u64, siret: &str, size: usize) -> Vec<u8> {
    let mut head = String::from(
        "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n\
         <n:PES_Retour xmlns:n=\"http://www.minefi.gouv.fr/cp/helios/pes_v2/Rev0/retour\">\n",
    );
    envelope_of(&mut head, "PES_RETOUR", &format!("PESRT_{siret}_{number:08}.xml"), number, siret);
    head.push_str(
        "<PES_DepenseRetour>\n<EnTeteDepenseRetour><InfoDetail V=\"Mandats payés\"/></EnTeteDepenseRetour>\n",
    );
    let tail = "</PES_DepenseRetour>\n</n:PES_Retour>\n".to_owned();
    let body = Filled { head, tail, least: 1, size };
    latin1(&body.fill(|index| paid(number, index)))
}

/// A flow of Chorus Pro with so many invoices (CPPFacturePivot, UTF-8), the last with an attachment that fills `size`.
#[must_use]
pub fn chorus(number: u64, invoices: u64, size: usize) -> Vec<u8> {
    let invoices = invoices.max(1);
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<CPPFactures Compteur=\"{invoices}\">\n");
    for index in 1..invoices {
        invoice(&mut text, number, index, &base64(number, 60));
    }
    let mut last = String::new();
    invoice(&mut last, number, invoices, "");
    let tail = "</CPPFactures>\n";
    // Base64 comes in fours, of three bytes each: the rest is white space.
    let room = size.saturating_sub(text.len() + last.len() + tail.len());
    let attachment = base64(number, (room / 4 * 3).max(60));
    invoice(&mut text, number, invoices, &attachment);
    pad(&mut text, tail, size);
    text.into_bytes()
}

/// Text that grows, element by element, to a wanted size.
struct Filled {
    head: String,
    tail: String,
    /// Elements there are at least.
    least: u64,
    size: usize,
}

impl Filled {
    fn fill(self, element: impl Fn(u64) -> String) -> String {
        let mut text = self.head;
        for index in 0.. {
            let next = element(index);
            if index >= self.least && text.len() + next.len() + self.tail.len() > self.size {
                break;
            }
            text.push_str(&next);
        }
        // What is padded is counted in characters, which ISO-8859-1 writes in one byte each.
        let characters = text.chars().count();
        let size = self.size + (text.len() - characters);
        pad(&mut text, &self.tail, size);
        text
    }
}

/// Ends `text` with `tail`, after as much white space as makes `size` bytes of both.
fn pad(text: &mut String, tail: &str, size: usize) {
    let missing = size.saturating_sub(text.len() + tail.len());
    text.extend(std::iter::repeat_n('\n', missing));
    text.push_str(tail);
}

fn envelope(out: &mut String, kind: &str, name: &str, number: u64) {
    envelope_of(out, kind, name, number, &format!("2134{:05}00017", number % 100_000));
}

fn envelope_of(out: &mut String, kind: &str, name: &str, number: u64, siret: &str) {
    let name = escaped(name);
    let (day, budget) = (number % 28 + 1, number % 5);
    let _ = write!(
        out,
        "<Enveloppe>\n<Parametres><Version V=\"1\"/><TypFic V=\"{kind}\"/><NomFic V=\"{name}\"/></Parametres>\n\
         <Emetteur><Sigle V=\"Hélios\"/></Emetteur>\n</Enveloppe>\n\
         <EnTetePES><DteStr V=\"2026-11-{day:02}\"/><IdPost V=\"034012\"/><IdColl V=\"{siret}\"/><CodCol V=\"123\"/>\
         <CodBud V=\"{budget:02}\"/></EnTetePES>\n"
    );
}

fn element_acquit(order: u64, refused: bool) -> String {
    let state = u8::from(!refused);
    let mut text = format!(
        "<ElementACQUIT><DomaineAck V=\"02\"/><ExerciceBord V=\"2026\"/><NumBord V=\"{order}\"/>\
         <EtatAck V=\"{state}\"/>"
    );
    if refused {
        let error = |code: u16, label: &str| {
            format!("<Erreur><NumAnoAck V=\"{code}\"/><LibelleAnoAck V=\"{label}\"/></Erreur>")
        };
        let _ = write!(
            text,
            "{}<DetailPiece><NumPiece V=\"{order}1\"/>{}<DetailLigne><NumLigne V=\"1\"/>{}</DetailLigne></DetailPiece>",
            error(201, "Bordereau déjà intégré pour l'exercice"),
            error(512, "Total de la pièce différent de la somme des lignes"),
            error(733, "Référence bancaire erronée : clé de contrôle"),
        );
    }
    text.push_str("</ElementACQUIT>\n");
    text
}

fn paid(number: u64, index: u64) -> String {
    let draw = number.wrapping_mul(31).wrapping_add(index);
    let (supplier, object) = (pick(&SUPPLIERS, draw), pick(&OBJECTS, draw));
    let (euros, cents, day) = (draw % 9_000 + 20, draw % 100, draw % 28 + 1);
    format!(
        "<Bordereau><NumBord V=\"{}\"/><Piece><NumPce V=\"{}\"/><Objet V=\"{}\"/><Tiers V=\"{}\"/>\
         <Montant V=\"{euros}.{cents:02}\"/><DtePaiement V=\"2026-11-{day:02}\"/></Piece></Bordereau>\n",
        number % 10_000,
        index + 1,
        escaped(object),
        escaped(supplier),
    )
}

fn invoice(out: &mut String, number: u64, index: u64, attachment: &str) {
    let draw = number.wrapping_mul(17).wrapping_add(index);
    let net = draw % 90_000 + 1_000;
    let tax = net / 5;
    let amount = |cents: u64| format!("{}.{:02}", cents / 100, cents % 100);
    let _ = write!(
        out,
        "<CPPFacturePivotUnitaire>\n<Fournisseur><Identifiant>{:014}</Identifiant><RaisonSociale>{}</RaisonSociale>\
         </Fournisseur>\n<Debiteur><Identifiant>21340172201787</Identifiant><Nom>Commune de Fontaine-l'Évêque</Nom>\
         </Debiteur>\n<DonneesFacture><Id>F2026-{number}-{index}</Id><IdCPRO>{}</IdCPRO><Objet>{}</Objet>\
         <Montants><MontantHT>{}</MontantHT><MontantTVA>{}</MontantTVA><MontantTTC>{}</MontantTTC></Montants>\
         </DonneesFacture>\n<PJ><NomPJ>facture-{number}-{index}.pdf</NomPJ><TypePJ>application/pdf</TypePJ>\
         <Contenu>{attachment}</Contenu></PJ>\n</CPPFacturePivotUnitaire>\n",
        draw % 1_000_000_000,
        escaped(pick(&SUPPLIERS, draw)),
        number.wrapping_mul(100).wrapping_add(index),
        escaped(pick(&OBJECTS, draw)),
        amount(net),
        amount(tax),
        amount(net + tax),
    );
}

fn pick<'a>(from: &[&'a str], draw: u64) -> &'a str {
    let index = usize::try_from(draw % from.len() as u64).unwrap_or_default();
    from.get(index).copied().unwrap_or_default()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

/// ISO-8859-1: the first 256 characters, one byte each; others become `?`.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect()
}

/// So many bytes that begin as a PDF does and go on at random, in base64.
fn base64(seed: u64, length: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut state = seed | 1;
    let noise = std::iter::repeat_with(|| {
        // A linear congruential generator (Knuth's MMIX): any noise that compresses badly would do.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    let bytes: Vec<u8> = b"%PDF-1.7\n".iter().copied().chain(noise).take(length).collect();
    let mut text = String::with_capacity(length.div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let three = [group[0], group.get(1).copied().unwrap_or(0), group.get(2).copied().unwrap_or(0)];
        let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for index in 0..4_usize {
            let sextet = (word >> (18 - 6 * index)) & 63;
            text.push(if index > group.len() { '=' } else { char::from(ALPHABET[sextet as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_exactly_the_size_asked_for_and_are_the_same_each_time() {
        for size in [4_000, 4_001, 20_003, 300_000] {
            assert_eq!(acquittement(7, "PES_7.xml", Verdict::Refused, size).len(), size);
            assert_eq!(pes_retour(7, "21340172201787", size).len(), size);
            assert_eq!(chorus(7, 3, size).len(), size);
        }
        assert_eq!(chorus(9, 2, 5_000), chorus(9, 2, 5_000));
        assert_ne!(pes_retour(1, "21340172201787", 0), pes_retour(2, "21340172201787", 0));
    }

    #[test]
    fn acquittements_speak_latin1_and_name_the_deposit() {
        let bytes = acquittement(3, "PES <3> & \"fils\".xml", Verdict::Refused, 0);
        let (text, _, faulty) = encoding_rs::WINDOWS_1252.decode(&bytes);
        assert!(!faulty && text.contains("NomFic V=\"PES &lt;3> &amp; &quot;fils&quot;.xml\""), "{text}");
        assert!(text.contains("déjà intégré") && std::str::from_utf8(&bytes).is_err());
        assert_eq!((text.matches("EtatAck V=\"0\"").count(), text.matches("<LibelleAnoAck").count()), (1, 3));
        let accepted = acquittement(3, "PES_3.xml", Verdict::Accepted, 0);
        assert!(!String::from_utf8_lossy(&accepted).contains("EtatAck V=\"0\""));
    }

    #[test]
    fn samples_are_well_formed() {
        let documents =
            [acquittement(5, "a.xml", Verdict::Refused, 9_000), pes_retour(5, "1", 9_000), chorus(5, 4, 9_000)];
        for bytes in documents {
            let (text, _, _) = encoding_rs::Encoding::for_label(if bytes.windows(5).take(60).any(|w| w == b"UTF-8") {
                b"utf-8"
            } else {
                b"iso-8859-1"
            })
            .unwrap()
            .decode(&bytes);
            let mut reader = quick_xml::Reader::from_str(&text);
            let mut depth = 0;
            loop {
                match reader.read_event().unwrap() {
                    quick_xml::events::Event::Start(_) => depth += 1,
                    quick_xml::events::Event::End(_) => depth -= 1,
                    quick_xml::events::Event::Eof => break,
                    _ => {}
                }
            }
            assert_eq!(depth, 0);
        }
    }

    #[test]
    fn base64_is_padded_as_it_should_be() {
        assert_eq!(base64(1, 9), "JVBERi0xLjcK");
        assert_eq!(base64(1, 8), "JVBERi0xLjc=");
        assert_eq!(base64(1, 7), "JVBERi0xLg==");
    }
}
