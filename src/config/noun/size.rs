//! Numbers of bytes: `100MiB`, `512KiB`, `5MB`, `1000`.

use serde::{Deserialize, Deserializer, Serializer};

/// What to write instead of something that is no size.
pub(in crate::config) const EXAMPLES: &str =
    "write a size such as \"100MiB\", \"512KiB\", \"1GiB\" or \"1000\" (bytes)";

/// Units in the order in which they are tried when a size is shown.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a whole number with or without a unit.
pub(in crate::config) fn parse(text: &str) -> Result<u64, &'static str> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("is not a size");
    }
    let bytes = match unit {
        "" => 1,
        unit => {
            let known = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
            known.ok_or("has a unit that is unknown (KiB, MiB, GiB, TiB, kB, MB, GB, TB or B)")?.1
        }
    };
    let size = number.parse::<u64>().ok().and_then(|number| number.checked_mul(bytes));
    // TOML's integers are signed, and so are those of SQLite.
    size.filter(|size| i64::try_from(*size).is_ok()).ok_or("is larger than any disk")
}

/// The text with the largest unit that divides `size`; it reads back.
pub(in crate::config) fn show(size: u64) -> String {
    let fitting = UNITS.iter().find(|(_, bytes)| size != 0 && size.is_multiple_of(*bytes) && *bytes != 1);
    fitting.map_or_else(|| size.to_string(), |(unit, bytes)| format!("{}{unit}", size / bytes))
}

pub(in crate::config) fn serialize<S: Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*size))
}

pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        for (text, bytes, shown) in [
            ("100MiB", 104_857_600, "100MiB"),
            ("512KiB", 524_288, "512KiB"),
            ("1GiB", 1_073_741_824, "1GiB"),
            ("1024MiB", 1_073_741_824, "1GiB"),
            ("1000", 1000, "1kB"),
            ("5MB", 5_000_000, "5MB"),
            ("0", 0, "0"),
            ("17", 17, "17"),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
            assert_eq!(show(bytes), shown);
            assert_eq!(parse(shown), Ok(bytes));
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "-1", "1.5GiB", "5 MiB", "5XB", "18446744073709551615", "99999999TiB"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(size in 0..i64::MAX as u64, zeros in 0..62_u32) {
            let round = size >> zeros << zeros;
            assert_eq!(parse(&show(round)), Ok(round));
        }
    }
}
