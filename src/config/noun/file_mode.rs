//! Permissions of files, as `chmod` writes them: `0640`.

use serde::{Deserialize, Deserializer, Serializer};

/// Reads an octal number that is sensible for a document in an inbox.
pub(in crate::config) fn parse(text: &str) -> Result<u32, &'static str> {
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mode) if octal => judge(mode),
        _ => Err("is not a mode in octal"),
    }
}

fn judge(mode: u32) -> Result<u32, &'static str> {
    match mode {
        _ if mode & 0o7111 != 0 => Err("would make documents executable"),
        _ if mode & 0o002 != 0 => Err("would let every user of the machine change documents"),
        _ if mode & 0o400 == 0 => Err("would keep the daemon from reading what it wrote"),
        _ => Ok(mode),
    }
}

/// Four octal digits.
pub(in crate::config) fn show(mode: u32) -> String {
    format!("{mode:04o}")
}

pub(in crate::config) fn serialize<S: Serializer>(mode: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*mode))
}

pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_in_octal() {
        assert_eq!(parse("0640"), Ok(0o640));
        assert_eq!(parse("660"), Ok(0o660));
        assert_eq!(show(0o660), "0660");
    }

    #[test]
    fn modes_that_harm_are_refused() {
        for text in ["", "64", "0642", "0666", "0750", "4640", "0240", "0o640", "+640", "0689", "rw-r-----"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
