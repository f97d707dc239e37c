//! Resources whose quota is not that of their group, from the server's public source (datagouv/apistration, April 2026).
//! The figures move: what answers say wins.

/// The quota of the resource at `path`, where it has one of its own: its name (the same for all versions of the
/// resource), and calls a minute.
#[must_use]
pub fn special(path: &str) -> Option<(&'static str, u32)> {
    let path = path.split('?').next().unwrap_or_default();
    let (_version, rest) = path.trim_start_matches('/').split_once('/')?;
    let (provider, rest) = rest.split_once('/')?;
    let resource = rest.split('/').rfind(|part| !part.is_empty() && !part.starts_with('{'))?;
    match (provider, resource) {
        ("dgfip", "attestation_fiscale") => Some(("dgfip/attestation_fiscale", 5)),
        ("inpi", "actes") => Some(("inpi/actes", 5)),
        ("cibtp", resource) if resource.starts_with("attestation") => Some(("cibtp/attestation", 5)),
        ("gip_mds", _) => Some(("gip_mds/effectifs", 100)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_resource_share_its_quota_and_others_have_none_of_their_own() {
        for version in ["v3", "v4"] {
            let path = format!("/{version}/dgfip/unites_legales/{{siren}}/attestation_fiscale");
            assert_eq!(special(&path), Some(("dgfip/attestation_fiscale", 5)));
        }
        assert_eq!(special("/v3/inpi/unites_legales/{siren}/actes").map(|it| it.1), Some(5));
        assert_eq!(special("/v3/gip_mds/unites_legales/{siren}/effectifs_annuels/2025").map(|it| it.1), Some(100));
        assert_eq!(special("/v3/insee/sirene/unites_legales/{siren}"), None);
        assert_eq!(special("/"), None);
    }
}
