//! Words for people.

/// `count` of `noun`s: "1 problem", "2 problems".
#[must_use]
pub fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// Whether `character` steers a terminal, turns the direction of text, breaks a line or is not seen at all: none of that
/// may reach a log or a screen from outside.
#[must_use]
pub fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// What somebody else has written, on one line and without what is hidden.
#[must_use]
pub fn plain(text: &str) -> String {
    // Most texts are so already.
    if is_plain(text) {
        return text.to_owned();
    }
    let seen: String = text
        .chars()
        .map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c })
        .filter(|&c| !is_hidden(c))
        .collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether `text` is of printable ASCII, with single spaces between its words.
fn is_plain(text: &str) -> bool {
    let mut last = b' ';
    let fits = text.bytes().all(|byte| {
        let before = std::mem::replace(&mut last, byte);
        byte.is_ascii_graphic() || (byte == b' ' && before != b' ')
    });
    fits && (last != b' ' || text.is_empty())
}

/// What somebody else has written, as [`plain`] has it, at most `limit` characters of it.
#[must_use]
pub fn presentable(text: &str, limit: usize) -> String {
    let line = plain(text);
    if line.chars().count() <= limit {
        return line;
    }
    line.chars().take(limit.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_plain_already_stays_as_it_is_and_spaces_around_or_between_are_not() {
        for text in ["", "a", "a b", "a:b <c>"] {
            assert!(is_plain(text) && plain(text) == text, "{text:?}");
        }
        for (text, expected) in [(" ", ""), (" a", "a"), ("a ", "a"), ("a  b", "a b"), ("a\tb", "a b"), ("é  é", "é é")]
        {
            assert!(!is_plain(text), "{text:?}");
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "note")), ["0 notes", "1 note", "2 notes"]);
    }

    #[test]
    fn what_is_hidden_is_not_said_and_letters_of_all_scripts_are() {
        assert_eq!(plain(" a\n\u{1b}[31mb\u{202e}c\u{2028}d\u{85}e\u{0}f\u{e0041} "), "a [31mbc d e f");
        assert_eq!(plain("Été «Ὀδυσσεύς» عربى 漢字"), "Été «Ὀδυσσεύς» عربى 漢字");
    }
}
