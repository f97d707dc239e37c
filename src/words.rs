//! Words for people.

/// `count` of `noun`s: "1 problem", "2 problems".
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| super::counted(count, "note")), ["0 notes", "1 note", "2 notes"]);
    }
}
