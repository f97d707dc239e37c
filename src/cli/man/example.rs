//! The shipped examples of a configuration, read for what they explain: tables, keys, and the comments above them.

/// Something of an example, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A comment that a blank line follows: it is about the table it stands in, or, at the head, about the file.
    Prose(Vec<String>),
    /// `[name]` or `[[name]]`, with the brackets, and the comment above it.
    Table { header: String, prose: Vec<String> },
    /// `name = value`, perhaps commented out, and the comment above it.
    Key { name: String, value: String, prose: Vec<String> },
}

/// Reads an example. A line `#` ends a paragraph of a comment; an empty line ends the comment.
pub(super) fn items(text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    let mut comment = Comment::default();
    for line in text.lines().map(str::trim_end) {
        let uncommented = line.strip_prefix("# ").unwrap_or(line);
        if let Some(header) = table(uncommented) {
            items.push(Item::Table { header: header.to_owned(), prose: comment.take() });
        } else if let Some((name, value)) = option(uncommented) {
            items.push(Item::Key { name: name.to_owned(), value: value.to_owned(), prose: comment.take() });
        } else if line == "#" {
            comment.end_paragraph();
        } else if line.starts_with('#') {
            comment.add(uncommented);
        } else if line.is_empty() && !comment.is_empty() {
            items.push(Item::Prose(comment.take()));
        }
    }
    items
}

/// A table's header, with its brackets.
fn table(line: &str) -> Option<&str> {
    let name = line.trim_start_matches('[').trim_end_matches(']');
    let brackets = line.len() - name.len();
    (matches!(brackets, 2 | 4) && !name.is_empty() && name.bytes().all(|byte| is_key(byte) || byte == b'.'))
        .then_some(line)
}

fn option(line: &str) -> Option<(&str, &str)> {
    line.split_once(" = ").filter(|(name, _)| !name.is_empty() && name.bytes().all(is_key))
}

fn is_key(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

/// The comment that is being read, by paragraphs.
#[derive(Default)]
struct Comment {
    paragraphs: Vec<String>,
    ended: bool,
}

impl Comment {
    fn add(&mut self, line: &str) {
        match self.paragraphs.last_mut() {
            Some(paragraph) if !self.ended => {
                paragraph.push(' ');
                paragraph.push_str(line);
            }
            _ => self.paragraphs.push(line.to_owned()),
        }
        self.ended = false;
    }

    fn end_paragraph(&mut self) {
        self.ended = true;
    }

    fn is_empty(&self) -> bool {
        self.paragraphs.is_empty()
    }

    fn take(&mut self) -> Vec<String> {
        self.ended = false;
        std::mem::take(&mut self.paragraphs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_belong_to_what_they_stand_above() {
        let text = "# The head,\n# of two lines.\n#\n# Its second paragraph.\n\n[a]\n# Of the key.\nkey = 1\n# other = \
            [\"x = y\"]\n\n\
            # Of the table.\n#\n# [[b.c]]\n# It is = prose.\nlast = 2\n";
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        let key = |name: &str, value: &str, prose: &[&str]| Item::Key {
            name: name.to_owned(),
            value: value.to_owned(),
            prose: words(prose),
        };
        let expected = [
            Item::Prose(words(&["The head, of two lines.", "Its second paragraph."])),
            Item::Table { header: "[a]".to_owned(), prose: Vec::new() },
            key("key", "1", &["Of the key."]),
            key("other", "[\"x = y\"]", &[]),
            Item::Table { header: "[[b.c]]".to_owned(), prose: words(&["Of the table."]) },
            key("last", "2", &["It is = prose."]),
        ];
        assert_eq!(items(text), expected);
    }
}
