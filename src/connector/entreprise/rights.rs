//! Which rights open which resource, and which `/ping` speaks of it: from the server's public source
//! (datagouv/apistration, April 2026).

use serde_json::Value;

use crate::connector::words::{shown, summary};
use crate::content::json;

/// A resource: words that its path holds, the rights of which one is needed, and its `/ping`.
type Known = (&'static [&'static str], &'static [&'static str], &'static str);

const DEFAULT_PING: &str = "insee/sirene";

const KNOWN: &[Known] = &[
    (
        &["/insee/", "diffusibles"],
        &["entreprises", "etablissements", "unites_legales_etablissements_insee", "open_data"],
        DEFAULT_PING,
    ),
    (&["/insee/"], &["entreprises", "etablissements", "unites_legales_etablissements_insee"], DEFAULT_PING),
    (
        &["/urssaf/", "attestation"],
        &["attestations_sociales", "attestation_sociale_urssaf"],
        "urssaf/attestation_sociale",
    ),
    (
        &["/dgfip/", "attestation_fiscale"],
        &["attestations_fiscales", "attestation_fiscale_dgfip"],
        "dgfip/attestation_fiscale",
    ),
    (&["/dgfip/", "chiffres_affaires"], &["exercices", "chiffre_affaires_dgfip"], "dgfip/chiffre_affaires"),
    (&["/dgfip/", "liasses_fiscales"], &["liasse_fiscale", "liasses_fiscales_dgfip"], "dgfip/liasses_fiscales"),
    (&["/infogreffe/", "mandataires"], &["entreprises", "mandataires_sociaux_infogreffe"], "infogreffe/rcs"),
    (&["/infogreffe/"], &["extraits_rcs", "open_data"], "infogreffe/rcs"),
    (&["/inpi/", "rne"], &["open_data"], "inpi/rne"),
    (&["/inpi/", "actes"], &["actes_inpi", "open_data"], "inpi/rne"),
    (&["/inpi/"], &["extrait_court_inpi", "open_data"], "inpi/rne"),
    (&["/banque_de_france/"], &["bilans_entreprise_bdf", "bilans_bdf"], DEFAULT_PING),
    (&["/msa/"], &["msa_cotisations", "cotisations_msa"], DEFAULT_PING),
    (&["/probtp/"], &["probtp", "cotisations_probtp"], DEFAULT_PING),
    (&["/qualibat/"], &["qualibat", "open_data"], DEFAULT_PING),
    (&["/opqibi/"], &["certificat_opqibi", "certification_opqibi", "open_data"], DEFAULT_PING),
    (&["/cnetp/"], &["certificat_cnetp", "certification_cnetp"], DEFAULT_PING),
    (&["/cibtp/"], &["attestations_cotisations_chomage_intemperies_cibtp"], DEFAULT_PING),
    (&["/fntp/"], &["fntp_carte_pro", "open_data"], DEFAULT_PING),
    (&["/ademe/"], &["certificat_rge_ademe", "open_data"], DEFAULT_PING),
    (&["/carif_oref/"], &["certifications_qualiopi_france_competences"], DEFAULT_PING),
    (&["/douanes/"], &["eori_douanes", "open_data"], DEFAULT_PING),
    (&["/gip_mds/"], &["effectifs_urssaf"], DEFAULT_PING),
];

fn known(path: &str) -> Option<&'static Known> {
    KNOWN.iter().find(|(words, ..)| words.iter().all(|word| path.contains(word)))
}

/// The `/ping` that speaks of the resource at `path`.
#[must_use]
pub fn provider(path: &str) -> &'static str {
    known(path).map_or(DEFAULT_PING, |(.., ping)| ping)
}

/// The rights of which the resource at `path` needs one, where `held` has none of them; none where it has, or where this
/// program does not know what the resource needs.
#[must_use]
pub fn lacking(path: &str, held: &[String]) -> Option<&'static [&'static str]> {
    let (_, rights, _) = known(path)?;
    let has = held.iter().any(|right| rights.contains(&right.as_str()));
    (!has).then_some(*rights)
}

/// Reads what `/privileges` answers, in its older and its newer form.
pub(super) fn read(status: u16, body: &[u8]) -> Result<Vec<String>, String> {
    let value = json(body).ok();
    let list = value.as_ref().and_then(|value| value.get("privileges").or_else(|| value.pointer("/data/privileges")));
    match (status, list.and_then(Value::as_array)) {
        (200, Some(list)) => Ok(list.iter().filter_map(Value::as_str).map(shown).collect()),
        _ => Err(format!("status {status}: {}", summary(&String::from_utf8_lossy(body)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_lacks_its_right_is_told_and_an_unknown_resource_is_not_accused() {
        let held = vec!["attestation_sociale_urssaf".to_owned()];
        assert_eq!(lacking("/v4/urssaf/unites_legales/{siren}/attestation_vigilance", &held), None);
        assert!(lacking("/v3/insee/sirene/unites_legales/{siren}", &held).is_some());
        assert_eq!(lacking("/v3/nobody/knows/{siren}", &held), None);
        assert_eq!(provider("/v4/dgfip/unites_legales/{siren}/attestation_fiscale"), "dgfip/attestation_fiscale");
        assert_eq!(provider("/v3/nobody/{id}"), "insee/sirene");
    }

    #[test]
    fn both_forms_of_privileges_are_read() {
        for body in ["{\"privileges\":[\"a\",\"b\"]}", "{\"data\":{\"privileges\":[\"a\",\"b\"]}}"] {
            assert_eq!(read(200, body.as_bytes()).unwrap(), ["a", "b"]);
        }
        assert!(read(401, b"{}").is_err() && read(200, b"<html>").is_err());
    }
}
