//! What a fault means (guide v3.4, §2.5): its texts vary in accents and case on the wire, so that only what has neither is
//! compared.

use crate::connector::fast::refusal::Asked;
use crate::connector::words::{shown, summary};
use crate::connector::{Access, Cause, ConnectorError};

/// Words for what is asked for.
const DOCUMENTS: [&str; 12] = [
    "document",
    "documents",
    "doc",
    "docid",
    "documentid",
    "acquittement",
    "acquittements",
    "fichier",
    "fichiers",
    "noeud",
    "noeuds",
    "nud",
];
/// How words for what is not a document begin: the account, the service and its parts.
const OTHERS: [&str; 8] = ["abonn", "utilisateur", "user", "client", "subscriber", "service", "circuit", "certificat"];
/// Ways to say that something is not there.
const DENIALS: [&str; 5] = ["introuvable", "existe pas", "existe plus", "inconnu", "not found"];

/// The error that the texts of a fault, come with `status`, stand for.
pub(super) fn meaning(texts: &[String], status: u16, asked: Asked) -> ConnectorError {
    let plain = texts.iter().map(|text| fold(text)).collect::<Vec<_>>().join(" | ");
    let said =
        summary(&shown(texts.iter().find(|text| text.contains(' ')).or(texts.last()).map_or("", String::as_str)));
    let detail = format!("«{said}» with status {status}");
    let says = |parts: &[&str]| parts.iter().all(|part| plain.contains(part));
    let denies = DENIALS.iter().any(|denial| plain.contains(denial));
    let is_about_documents = is_about_documents(&plain);
    // Someone is denied, and no document.
    let denied = |starts: &[&str]| denies && !is_about_documents && has(&plain, starts);
    let access = |cause| Access::new(cause, detail.clone()).into();
    if says(&["authentification", "non reconnu"]) {
        return access(Cause::CertificateRefused);
    }
    if says(&["authentification", "refus"]) || says(&["permission de"]) || says(&["unauthorized"]) {
        return access(Cause::Unauthorized);
    }
    if says(&["abonn", "inconnu"]) || says(&["subscriber not found"]) || denied(&["abonn", "subscriber", "client"]) {
        return access(Cause::UnknownSubscriber);
    }
    if denied(&["utilisateur"]) {
        return access(Cause::CertificateRefused);
    }
    match asked {
        Asked::List if says(&["circuit"]) => {
            ConnectorError::NotAListing { detail: format!("FAST answers {detail}: correct `circuits` of the account") }
        }
        Asked::List => ConnectorError::NotAListing { detail: format!("FAST answers {detail}") },
        // Only where it is the document that is denied, and nothing else: it is given up for ever.
        Asked::Document if (denies || says(&["invalid docid"])) && is_about_documents && !has(&plain, &OTHERS) => {
            ConnectorError::Unknown { detail }
        }
        Asked::Document if is_about_documents || says(&["contenu"]) => {
            ConnectorError::Answered { detail: format!("FAST answers {detail}") }
        }
        // It says nothing about the document: the service itself is in trouble.
        Asked::Document => ConnectorError::Unavailable { status, detail: format!("«{said}»") },
    }
}

/// Whether a text has a word that begins like one of `starts`.
fn has(plain: &str, starts: &[&str]) -> bool {
    plain.split(' ').any(|word| starts.iter().any(|start| word.starts_with(start)))
}

/// Whether a text speaks of a document: a node (`nœud`) among the words for one, whatever became of its ligature.
fn is_about_documents(plain: &str) -> bool {
    let words: Vec<&str> = plain.split(' ').collect();
    words.iter().any(|word| DOCUMENTS.contains(word)) || words.windows(2).any(|pair| pair == ["n", "ud"])
}

/// Lower case, and nothing but what any encoding of the wire leaves as it is: letters without accents, in words.
fn fold(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in text.chars().flat_map(char::to_lowercase) {
        match character {
            'a'..='z' | '0'..='9' => plain.push(character),
            'à' | 'â' | 'ä' => plain.push('a'),
            'é' | 'è' | 'ê' | 'ë' => plain.push('e'),
            'î' | 'ï' => plain.push('i'),
            'ô' | 'ö' => plain.push('o'),
            'ù' | 'û' | 'ü' => plain.push('u'),
            'ç' => plain.push('c'),
            'œ' => plain.push_str("oe"),
            _ if plain.ends_with(' ') => {}
            _ => plain.push(' '),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str, asked: Asked) -> &'static str {
        meaning(&[text.to_owned()], 500, asked).kind()
    }

    #[test]
    fn the_guides_words_are_understood_whatever_became_of_their_accents() {
        let known = [
            (
                "Erreur lors de l'authentification, Utilisateur non reconnu",
                "certificate_refused",
                "certificate_refused",
            ),
            (
                "ERREUR LORS DE L’AUTHENTIFICATION, UTILISATEUR NON RECONNU",
                "certificate_refused",
                "certificate_refused",
            ),
            ("Erreur lors de l'authentification, accès refusé", "unauthorized", "unauthorized"),
            ("Erreur lors de l'authentification, acc?s refus?", "unauthorized", "unauthorized"),
            ("Erreur lors de l'authentification, accÃ¨s refusÃ©", "unauthorized", "unauthorized"),
            (
                "Erreur: l'abonné est inconnu ou l'utilisateur n'a pas les permissions pour y réaliser l'action demandée",
                "unknown_subscriber",
                "unknown_subscriber",
            ),
            ("Le nœud n'existe pas", "not_a_listing", "unknown_document"),
            ("Le noeud n existe pas", "not_a_listing", "unknown_document"),
            ("Internal error: Invalid docId", "not_a_listing", "unknown_document"),
            ("Erreur lors de la récupération du contenu du document", "not_a_listing", "answered"),
            ("Erreur lors la construction du document pour envoi", "not_a_listing", "answered"),
            (
                "Erreur lors de la récupération des informations concernant les acquittements",
                "not_a_listing",
                "answered",
            ),
            ("Le circuit demandé n'a pas été trouvé", "not_a_listing", "unavailable"),
            ("Internal Server Error", "not_a_listing", "unavailable"),
            ("", "not_a_listing", "unavailable"),
            // What is not there must be the document itself.
            ("Abonné introuvable", "unknown_subscriber", "unknown_subscriber"),
            ("Subscriber not found | Client introuvable", "unknown_subscriber", "unknown_subscriber"),
            ("Service introuvable", "not_a_listing", "unavailable"),
            ("Ressource introuvable", "not_a_listing", "unavailable"),
            ("L'utilisateur n'existe pas", "certificate_refused", "certificate_refused"),
            ("Le document du circuit n'existe pas", "not_a_listing", "answered"),
            ("Le service des documents n'existe pas", "not_a_listing", "answered"),
            ("Le n?ud n'existe pas", "not_a_listing", "unknown_document"),
            ("Le nÅ“ud n'existe pas", "not_a_listing", "unknown_document"),
            ("Le n\u{fffd}ud n'existe pas", "not_a_listing", "unknown_document"),
            ("Le document est introuvable", "not_a_listing", "unknown_document"),
            ("Acquittement introuvable.", "not_a_listing", "unknown_document"),
            ("Le document n'existe pas pour ce client", "not_a_listing", "answered"),
            // Words are whole.
            ("Erreur Docaposte", "not_a_listing", "unavailable"),
            ("Documentation introuvable", "not_a_listing", "unavailable"),
        ];
        for (text, list, document) in known {
            assert_eq!((kind(text, Asked::List), kind(text, Asked::Document)), (list, document), "{text}");
        }
    }
}
