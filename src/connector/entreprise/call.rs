//! The address of a call: path, subject, and the parameters that make it traceable.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Everything but the unreserved characters (RFC 3986, §2.3).
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A call about a subject.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// With `{siren}`, `{siret}` or `{id}` for the subject.
    pub path: &'a str,
    /// The SIREN, SIRET or id.
    pub subject: &'a str,
    /// In which framework the answer is used.
    pub context: &'a str,
    /// SIRET of whom it is for.
    pub recipient: &'a str,
    /// Why it is asked.
    pub object: &'a str,
    /// Further parameters.
    pub query: &'a BTreeMap<String, String>,
}

impl Call<'_> {
    /// The path with its subject, without parameters.
    #[must_use]
    pub fn path(&self) -> String {
        let subject = encoded(self.subject);
        ["{siren}", "{siret}", "{id}"]
            .iter()
            .fold(self.path.to_owned(), |path, placeholder| path.replace(placeholder, &subject))
    }

    /// Path and parameters. The token never is among them: addresses end up in logs.
    #[must_use]
    pub fn target(&self) -> String {
        let path = self.path();
        let fixed = [("context", self.context), ("recipient", self.recipient), ("object", self.object)];
        let own = self.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs: Vec<String> =
            fixed.into_iter().chain(own).map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let sign = if path.contains('?') { '&' } else { '?' };
        format!("{path}{sign}{}", pairs.join("&"))
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PART).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_says_for_whom_and_why_and_never_with_what_token() {
        let query = BTreeMap::from([("non_diffusables".to_owned(), "true".to_owned())]);
        let call = Call {
            path: "/v3/insee/sirene/unites_legales/{siren}",
            subject: "552032534",
            context: "Marchés publics",
            recipient: "55203253400646",
            object: "veille & suivi",
            query: &query,
        };
        assert_eq!(
            call.target(),
            "/v3/insee/sirene/unites_legales/552032534?context=March%C3%A9s%20publics&recipient=55203253400646&\
             object=veille%20%26%20suivi&non_diffusables=true"
        );
        let hostile = Call { path: "/v3/x/{id}", subject: "../a?b=c", ..call };
        assert!(hostile.path().starts_with("/v3/x/..%2Fa%3Fb%3Dc"));
    }
}
