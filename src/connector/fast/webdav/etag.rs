//! Entity tags (RFC 9110, §8.8.3).

use crate::words::is_hidden;

/// What tells the versions of a file apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Etag {
    /// The tag itself, without its quotes.
    pub(super) tag: String,
    /// Whether it stands for the same meaning only, not for the same bytes. Apache's mod_dav sends such in the first second of
    /// a file's life, and the same tag as a strong one afterwards.
    pub(super) weak: bool,
}

impl Etag {
    /// Reads a header or a property; some servers forget the quotes. `None` for an empty one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (weak, quoted) = match text.strip_prefix("W/").or_else(|| text.strip_prefix("w/")) {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let tag = quoted.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(quoted);
        let legal = |c: char| !is_hidden(c) && c != '"';
        (!tag.is_empty() && tag.chars().all(legal)).then(|| Self { tag: tag.to_owned(), weak })
    }

    /// As a header has it.
    pub(super) fn header(&self) -> String {
        format!("{}\"{}\"", if self.weak { "W/" } else { "" }, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_as_servers_write_them() {
        let read = |text: &str| Etag::parse(text).map(|etag| (etag.header(), etag.weak));
        assert_eq!(read("\"1f-5e\""), Some(("\"1f-5e\"".to_owned(), false)));
        assert_eq!(read(" W/\"1f-5e\" "), Some(("W/\"1f-5e\"".to_owned(), true)));
        assert_eq!(read("1f-5e"), Some(("\"1f-5e\"".to_owned(), false)));
        for none in ["", "\"\"", "W/\"\"", "a\"b", "\"a\nb\""] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }
}
