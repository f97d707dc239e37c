//! Calls a minute: `5/min`.

use serde::{Deserialize, Deserializer, Serializer};

/// What to write instead of something that is no rate.
pub(in crate::config) const EXAMPLES: &str = "write calls a minute, such as \"5/min\"";
/// No quota is larger.
const MOST: u32 = 1_000;

/// Reads a rate from 1 to 1000 calls a minute.
pub(in crate::config) fn parse(text: &str) -> Result<u32, &'static str> {
    let number = text.strip_suffix("/min").ok_or("is not a number of calls a minute")?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let rate = number.parse().ok().filter(|_| digits).ok_or("is not a number of calls a minute")?;
    if (1..=MOST).contains(&rate) { Ok(rate) } else { Err("is out of bounds") }
}

/// The text that reads back.
pub(in crate::config) fn show(rate: u32) -> String {
    format!("{rate}/min")
}

pub(in crate::config) fn serialize<S: Serializer>(rate: &Option<u32>, serializer: S) -> Result<S::Ok, S::Error> {
    match rate {
        Some(rate) => serializer.serialize_some(&show(*rate)),
        None => serializer.serialize_none(),
    }
}

pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(serde::de::Error::custom)).transpose()
}
