//! Answers of API Entreprise, and its tokens.
//!
//! The input: two bytes for the status, one for what was asked, one for `Retry-After`, the body.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use vaguemestre::connector::entreprise::Meaning;
use vaguemestre::connector::entreprise::jwt::Jwt;
use vaguemestre::fuzzing::entreprise;
use vaguemestre_fuzz::is_line;

const YEAR: Duration = Duration::from_secs(366 * 86_400);

fuzz_target!(|bytes: &[u8]| {
    let [high, low, asked, wait, body @ ..] = bytes else { return };
    let status = 200 + (u16::from(*high) << 8 | u16::from(*low)) % 400;
    let after = (*wait > 0).then(|| Duration::from_secs(1 << (wait % 64)));
    let limit = YEAR.max(after.unwrap_or_default());
    match entreprise::meaning(status, body, after, asked & 1 == 1) {
        Meaning::Version { body: kept, document_url } => {
            assert!(status == 200 && kept == body);
            assert!(document_url.is_none() || asked & 1 == 1);
        }
        Meaning::Partial { after } => assert!(after.is_none_or(|after| after <= limit)),
        Meaning::Retry { after, text, .. } => {
            assert!(after.is_none_or(|after| after <= limit) && is_line(&text), "{text:?}");
        }
        Meaning::Answer { text } | Meaning::Stop { text, .. } | Meaning::Unreadable { text } => {
            assert!(status != 429 && is_line(&text) && text.chars().count() < 10_000, "{text:?}");
        }
        Meaning::Quota => assert_eq!(status, 429),
    }
    match entreprise::privileges(status, body) {
        Ok(rights) => assert!(rights.iter().all(|right| is_line(right))),
        Err(text) => assert!(is_line(&text), "{text:?}"),
    }
    if let Ok(token) = std::str::from_utf8(body) {
        let _ = Jwt::read(&token.to_owned().into());
    }
});
