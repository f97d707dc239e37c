//! `WWW-Authenticate`: why an API did not take a token (RFC 9110, §11.6.1; RFC 6750, §3).

use crate::http::Answer;

/// What the Bearer challenge of an answer says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// `invalid_token`, `insufficient_scope`, `invalid_request`, or another; none given: `None`.
    pub(super) error: Option<String>,
    /// Its explanation.
    pub(super) description: Option<String>,
}

/// The Bearer challenge of `answer`, if it has one.
#[must_use]
pub(super) fn challenge(answer: &Answer) -> Option<Challenge> {
    answer.headers("www-authenticate").find_map(parse)
}

/// The first Bearer challenge of a header's value, which may hold several challenges, with parameters in any order.
fn parse(text: &str) -> Option<Challenge> {
    let mut found: Option<Challenge> = None;
    for part in split(text) {
        let (scheme, parameter) = scheme_of(part);
        if let Some(scheme) = scheme {
            if found.is_some() {
                break;
            }
            found = scheme.eq_ignore_ascii_case("bearer").then(Challenge::default);
        }
        if let (Some(challenge), Some((name, value))) = (found.as_mut(), parameter.split_once('=')) {
            let value = unquoted(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "error" => challenge.error = Some(value),
                "error_description" => challenge.description = Some(value),
                _ => {}
            }
        }
    }
    found
}

/// The parts between commas that are not in quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    parts
}

/// A part begins a challenge where a word stands alone, or before a parameter: `Bearer`, `Bearer realm="x"`.
fn scheme_of(part: &str) -> (Option<&str>, &str) {
    let end = part.find(|c: char| c.is_whitespace() || c == '=').unwrap_or(part.len());
    let (word, rest) = part.split_at(end);
    if word.is_empty() || rest.trim_start().starts_with('=') { (None, part) } else { (Some(word), rest.trim_start()) }
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let (mut text, mut escaped) = (String::new(), false);
    for character in inner.chars() {
        match character {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => break,
            other => {
                escaped = false;
                text.push(other);
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> Option<String> {
        parse(text).and_then(|challenge| challenge.error)
    }

    #[test]
    fn the_error_of_the_bearer_challenge_is_found_wherever_it_stands() {
        for text in [
            "Bearer error=\"invalid_token\"",
            "bearer realm=\"a, b\", error=invalid_token, error_description=\"x \\\" y\"",
            "Basic realm=\"Bearer error=\\\"x\\\"\", Bearer realm=\"b\", error = \"invalid_token\"",
            "Negotiate YWJj, BEARER error=\"invalid_token\", Digest error=\"other\"",
        ] {
            assert_eq!(error(text).as_deref(), Some("invalid_token"), "{text}");
        }
        assert_eq!(parse("Bearer"), Some(Challenge::default()));
        assert_eq!(parse("Bearer error=\"a\", error_description=\"x \\\" y\"").unwrap().description.unwrap(), "x \" y");
        for text in ["Basic realm=\"Bearer error=invalid_token\"", "Digest error=\"invalid_token\"", "", "error=\"x\""]
        {
            assert_eq!(error(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn whatever_surrounds_it_the_error_is_found(before in "[a-z\", =\\\\]{0,20}", realm in "[a-z, =]{0,20}") {
            let quoted = before.replace(['"', '\\'], "");
            let text = format!("Basic realm=\"{quoted}\", Bearer realm=\"{realm}\", error=\"invalid_token\"");
            let found = error(&text);
            prop_assert_eq!(found.as_deref(), Some("invalid_token"));
        }
    }
}
