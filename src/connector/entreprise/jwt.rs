//! What a token says of itself (RFC 7519), for warnings only: the server looks it up, and may prolong or revoke it.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// Days left at which an operator is told.
const WARNINGS: [i64; 3] = [15, 30, 90];

/// A token, read and not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwt {
    /// Its end (`exp`).
    pub expires_at: Option<Timestamp>,
    /// Its rights (`scopes`, or the older `roles`).
    pub scopes: Vec<String>,
}

impl Jwt {
    /// Reads a token; `None` where it cannot be read as a JWT.
    #[must_use]
    pub fn read(token: &SecretString) -> Option<Self> {
        let mut parts = token.expose_secret().trim().split('.');
        let (Some(_header), Some(payload), Some(_signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let Value::Object(claims) = serde_json::from_slice(&base64url(payload)?).ok()? else { return None };
        let expires_at = claims.get("exp").and_then(Value::as_i64).and_then(|exp| Timestamp::from_second(exp).ok());
        let list = claims.get("scopes").or_else(|| claims.get("roles")).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        Some(Self { expires_at, scopes: texts.map(str::to_owned).collect() })
    }
}

/// The warning that is due where a token ends at `expires_at`: the days left, once fewer than 90, 30 or 15 are; and the
/// threshold it has passed.
#[must_use]
pub fn warning(expires_at: Timestamp, now: Timestamp) -> Option<(i64, i64)> {
    let days = expires_at.duration_since(now).as_hours().div_euclid(24);
    WARNINGS.into_iter().find(|&threshold| days < threshold).map(|threshold| (days, threshold))
}

/// RFC 4648, §5, with or without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_end_and_the_rights_of_a_token_are_read_and_what_is_no_jwt_is_used_as_it_is() {
        // {"exp":1700000000,"scopes":["open_data"]}
        let token = "eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3MDAwMDAwMDAsInNjb3BlcyI6WyJvcGVuX2RhdGEiXX0.c2ln";
        let jwt = Jwt::read(&token.to_owned().into()).unwrap();
        assert_eq!(jwt.expires_at.unwrap().as_second(), 1_700_000_000);
        assert_eq!(jwt.scopes, ["open_data"]);
        for text in ["abc", "a.b", "a.b.c", "....", ""] {
            assert_eq!(Jwt::read(&text.to_owned().into()), None, "{text}");
        }
    }

    #[test]
    fn warnings_come_at_90_30_and_15_days() {
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let in_days =
            |days: i64| warning(now.saturating_add(jiff::SignedDuration::from_hours(24 * days + 1)).unwrap(), now);
        assert_eq!(in_days(90), None);
        assert_eq!(in_days(89), Some((89, 90)));
        assert_eq!((in_days(29), in_days(14)), (Some((29, 30)), Some((14, 15))));
        assert!(in_days(-2).unwrap().0 < 0);
    }

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[A-Za-z0-9_=.-]{0,80}") {
            let _ = Jwt::read(&text.into());
        }
    }
}
