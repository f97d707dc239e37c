//! Shares: `80%`.

use serde::{Deserialize, Deserializer, Serializer};

/// What to write instead of something that is no share.
pub(in crate::config) const EXAMPLES: &str = "write a share from \"1%\" to \"100%\"";

/// Reads a share from 1 to 100 percent.
pub(in crate::config) fn parse(text: &str) -> Result<u8, &'static str> {
    let number = text.strip_suffix('%').ok_or("is not a share in percent")?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let share = number.parse().ok().filter(|_| digits).ok_or("is not a share in percent")?;
    if (1..=100).contains(&share) { Ok(share) } else { Err("is out of bounds") }
}

/// The text that reads back.
pub(in crate::config) fn show(share: u8) -> String {
    format!("{share}%")
}

pub(in crate::config) fn serialize<S: Serializer>(share: &u8, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*share))
}

pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}
