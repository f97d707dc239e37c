//! What matters of an answer: two that differ only in what is ignored, or in how they are written, are the same.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::json::json;
use crate::archive::layout::hex;

/// SHA-256, in hexadecimal, of what matters of `bytes`. Of JSON, members that the JSON pointers in `ignore` (RFC 6901)
/// name do not matter, nor do the order of members and blanks; of anything else, and of JSON that would outgrow the memory,
/// every byte does.
#[must_use]
pub fn digest(bytes: &[u8], ignore: &[String]) -> String {
    let mut hash = Sha256::new();
    match json(bytes) {
        Ok(mut value) => {
            // Deepest first within an array, so that removing one does not move another.
            let mut pointers: Vec<&str> = ignore.iter().map(String::as_str).collect();
            pointers.sort_unstable_by(|a, b| order(b).cmp(&order(a)));
            for pointer in pointers {
                remove(&mut value, pointer);
            }
            // Members of an object come sorted: serde_json keeps them in a tree.
            hash.update(value.to_string().as_bytes());
        }
        Err(_) => hash.update(bytes),
    }
    hex(&hash.finalize())
}

/// Sorts the pointers into an array by index, not by letters.
fn order(pointer: &str) -> Vec<(Option<usize>, &str)> {
    pointer.split('/').map(|part| (part.parse().ok(), part)).collect()
}

fn remove(value: &mut Value, pointer: &str) {
    if pointer.is_empty() {
        *value = Value::Null;
        return;
    }
    let Some((parent, name)) = pointer.rsplit_once('/') else { return };
    let name = name.replace("~1", "/").replace("~0", "~");
    match value.pointer_mut(parent) {
        Some(Value::Object(members)) => drop(members.remove(&name)),
        Some(Value::Array(items)) => {
            if let Some(index) = name.parse().ok().filter(|&index: &usize| index < items.len()) {
                items.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn ignoring(pointers: &[&str]) -> Vec<String> {
        pointers.iter().map(|&pointer| pointer.to_owned()).collect()
    }

    #[test]
    fn members_and_items_that_are_ignored_make_no_difference_and_all_others_do() {
        let ignore = ignoring(&["/meta", "/list/0", "/list/10", "/list/2", "/a~1b", "/none/x"]);
        let of = |value: Value| digest(value.to_string().as_bytes(), &ignore);
        let base = of(json!({"data": 1, "meta": {"at": 1}, "list": [1, 2, 3], "a/b": 1}));
        assert_eq!(base, of(json!({"a/b": 7, "list": [9, 2, 8], "meta": null, "data": 1})));
        assert_eq!(base, of(json!({"list": [9, 2, 8], "data": 1})));
        assert_ne!(base, of(json!({"data": 2, "meta": {"at": 1}, "list": [1, 2, 3]})));
        assert_ne!(base, of(json!({"data": 1, "list": [1, 4, 3]})));
        assert_eq!(digest(b"{\"a\": 1}", &[]), digest(b"{ \"a\":1 }", &[]));
        assert_ne!(digest(b"a;b", &[]), digest(b"a; b", &[]));
    }

    proptest! {
        #[test]
        fn what_lies_outside_of_what_is_ignored_decides(
            data in any::<i32>(), other in any::<i32>(), meta in "\\PC{0,20}", changed in "\\PC{0,20}"
        ) {
            let ignore = ignoring(&["/meta"]);
            let of = |data: i32, meta: &str| digest(json!({"meta": meta, "data": data}).to_string().as_bytes(), &ignore);
            prop_assert_eq!(of(data, &meta), of(data, &changed));
            prop_assert_eq!(of(data, &meta) == of(other, &changed), data == other);
        }

        #[test]
        fn no_bytes_and_no_pointers_break_it(bytes in prop::collection::vec(any::<u8>(), 0..60), pointer in "[/~0-9a-z]{0,12}") {
            let _ = digest(&bytes, &ignoring(&[&pointer]));
        }
    }
}
