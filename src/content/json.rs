//! JSON that is taken into memory whole, as long as it takes no more than it may: a hostile answer of small objects grows
//! eighty-fold on its way from bytes to values.

use serde_json::Value;

/// Bytes of memory that the values of an answer may take.
const MOST: usize = 96 << 20;
/// What an object takes at least, in bytes: a node of its map has room for eleven members.
const OBJECT: usize = 700;
/// What a value takes in an array that has just grown, in bytes.
const VALUE: usize = 64;

/// Reads `bytes`.
///
/// # Errors
/// A sentence that says what is wrong with them.
pub fn json(bytes: &[u8]) -> Result<Value, String> {
    let count = |wanted: &[u8]| bytes.iter().filter(|byte| wanted.contains(byte)).count();
    // An upper bound: signs in texts count as well.
    if count(b"{") * OBJECT + count(b",[") * VALUE > MOST {
        return Err("it holds more values than are taken into memory".to_owned());
    }
    serde_json::from_slice(bytes).map_err(|error| format!("it is no JSON ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_outgrow_the_memory_is_refused_before_it_is_read() {
        let many = |one: &str, count: usize| format!("[{}1]", format!("{one},").repeat(count));
        for text in [many("{\"a\":1}", 200_000), many("[]", 2_000_000), many("1", 2_000_000), "{".repeat(200_000)] {
            let error = json(text.as_bytes()).unwrap_err();
            assert_eq!(error, "it holds more values than are taken into memory");
        }
        assert!(json(many("{\"a\":1}", 100_000).as_bytes()).is_ok());
        assert!(json(format!("\"{}\"", "x".repeat(30 << 20)).as_bytes()).is_ok());
        assert!(json(b"{").unwrap_err().starts_with("it is no JSON"));
    }
}
