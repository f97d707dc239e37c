//! Lengths of time: `30m`, `7d`, `1h30m`, `500ms`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer};

/// What to write instead of something that is no length of time.
pub(in crate::config) const EXAMPLES: &str = "write a length of time such as \"30m\", \"90s\", \"1h30m\" or \"7d\"";

/// Nothing here lasts longer: keeps sums and multiples far from overflow.
const LONGEST: Duration = Duration::from_secs(3660 * 86_400);

/// Units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads numbers with units, largest unit first.
pub(in crate::config) fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.iter();
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, after) = rest.split_at(digits);
        let letters = after.len() - after.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let (unit, after) = after.split_at(letters);
        if number.is_empty() {
            return Err("is not a length of time");
        }
        if unit.is_empty() {
            return Err("is a number without its unit (d, h, m, s or ms)");
        }
        let (_, milliseconds) = units
            .by_ref()
            .find(|(name, _)| *name == unit)
            .ok_or("has a unit that is unknown, or out of order (d, h, m, s, ms)")?;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*milliseconds))
            .and_then(|part| part.checked_add(total))
            .ok_or("is longer than ten years")?;
        rest = after;
    }
    match Duration::from_millis(total) {
        _ if text.is_empty() => Err("is empty"),
        span if span > LONGEST => Err("is longer than ten years"),
        span => Ok(span),
    }
}

/// The shortest text that reads back.
pub(in crate::config) fn show(span: Duration) -> String {
    let mut rest = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (unit, milliseconds) in UNITS {
        if rest >= milliseconds {
            text += &format!("{}{unit}", rest / milliseconds);
            rest %= milliseconds;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(in crate::config) fn serialize<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&show(*span))
}

pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

/// The same of what may be absent.
pub(in crate::config) mod perhaps {
    use super::{Deserialize, Deserializer, Duration, Serializer, parse, show};

    pub(in crate::config) fn serialize<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => to.serialize_some(&show(*span)),
            None => to.serialize_none(),
        }
    }

    pub(in crate::config) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        text.map(|text| parse(&text).map_err(serde::de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_shown() {
        for (text, milliseconds, shown) in [
            ("30m", 1_800_000, "30m"),
            ("7d", 604_800_000, "7d"),
            ("90s", 90_000, "1m30s"),
            ("1h30m", 5_400_000, "1h30m"),
            ("500ms", 500, "500ms"),
            ("0s", 0, "0s"),
            ("36h", 129_600_000, "1d12h"),
        ] {
            let span = parse(text).unwrap();
            assert_eq!(span, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(show(span), shown);
            assert_eq!(parse(&show(span)), Ok(span));
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused() {
        let huge = "99999999999999999999d";
        for text in
            ["", "30", "m", "-1m", "1.5h", "30m1h", "1h1h", "30 m", "5y", "3661d", huge, "18446744073709551615d"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(milliseconds in 0..=3660 * 86_400_000_u64) {
            let span = Duration::from_millis(milliseconds);
            assert_eq!(parse(&show(span)), Ok(span));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9dhms]{0,30}") {
            let _ = parse(&text);
        }
    }
}
