//! What a token says of itself (RFC 7519), for warnings only: the server looks it up, and may prolong or revoke it.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

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

    proptest! {
        #[test]
        fn no_text_breaks_it(text in "[A-Za-z0-9_=.-]{0,80}") {
            let _ = Jwt::read(&text.into());
        }
    }
}
