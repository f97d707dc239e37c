//! Parts of a multipart/related body (RFC 2046, §5.1; RFC 2387) as they arrive: their headers are kept, their bytes handed on.

/// Bytes of headers that a part may have.
const HEADERS: usize = 16 << 10;
/// Bytes before the first part, and behind the last.
const AROUND: usize = 64 << 10;

/// The parameter `name` of a header's value (RFC 2045, §5.1), quoted or not.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (key, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let (found, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"')?;
                (&quoted[..end], &quoted[end + 1..])
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                (after[..end].trim_end(), &after[end..])
            }
        };
        if key.trim().trim_start_matches(';').trim().eq_ignore_ascii_case(name) {
            return Some(found.to_owned());
        }
        rest = next.split_once(';').map_or("", |(_, rest)| rest);
    }
}

/// What a piece of the body is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// A part begins, with these headers (names in lower case).
    Begins(Vec<(String, String)>),
    /// Its bytes.
    Bytes(&'a [u8]),
    /// It ends.
    Ends,
}

/// Reads one body.
#[derive(Debug)]
pub(super) struct Multipart {
    /// `\r\n--boundary`.
    delimiter: Vec<u8>,
    place: Place,
    /// Bytes that may be the beginning of a delimiter, or belong to headers.
    held: Vec<u8>,
    /// No byte of the part has come yet.
    fresh: bool,
    /// Bytes behind the last part.
    epilogue: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Preamble,
    /// Behind a delimiter: the rest of its line, or `--`.
    Line,
    Headers,
    Part,
    Epilogue,
}

impl Multipart {
    /// Reads a body with this boundary.
    ///
    /// # Errors
    /// When that can be none (RFC 2046, §5.1.1).
    pub(super) fn new(boundary: &str) -> Result<Self, String> {
        if boundary.is_empty() || boundary.len() > 200 || boundary.contains(['\r', '\n']) {
            return Err("its boundary cannot be used".to_owned());
        }
        // The first delimiter may stand at the very beginning: as if a line had ended before.
        let (place, held) = (Place::Preamble, b"\r\n".to_vec());
        Ok(Self { delimiter: format!("\r\n--{boundary}").into_bytes(), place, held, fresh: false, epilogue: 0 })
    }

    /// Takes the next bytes; each piece goes to `each`.
    ///
    /// # Errors
    /// What is wrong with them, or what `each` says.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Piece<'_>) -> Result<(), String>,
    ) -> Result<(), String> {
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        let mut rest = held.as_slice();
        loop {
            let before = (rest.len(), self.place);
            rest = match self.place {
                Place::Preamble => match find(rest, &self.delimiter) {
                    Some(at) => {
                        self.place = Place::Line;
                        &rest[at + self.delimiter.len()..]
                    }
                    None if rest.len() > AROUND => return Err("its first part does not begin".to_owned()),
                    None => rest,
                },
                Place::Line => self.line(rest),
                Place::Headers => self.headers(rest, &mut each)?,
                Place::Part => self.part(rest, &mut each)?,
                Place::Epilogue => {
                    self.epilogue += rest.len();
                    if self.epilogue > AROUND {
                        return Err("it goes on behind its end".to_owned());
                    }
                    &[]
                }
            };
            if (rest.len(), self.place) == before {
                break;
            }
        }
        self.held = rest.to_vec();
        Ok(())
    }

    /// The body is over.
    ///
    /// # Errors
    /// When its last delimiter has not come.
    pub(super) fn finish(&self) -> Result<(), String> {
        if self.place == Place::Epilogue {
            Ok(())
        } else {
            Err("the answer is cut: its last part has no end".to_owned())
        }
    }

    fn line<'b>(&mut self, rest: &'b [u8]) -> &'b [u8] {
        if rest.starts_with(b"--") {
            self.place = Place::Epilogue;
            return &[];
        }
        let line = rest.iter().position(|&byte| byte == b'\n').filter(|_| rest.len() >= 2);
        match line {
            Some(end) => {
                self.place = Place::Headers;
                &rest[end + 1..]
            }
            None => rest,
        }
    }

    fn headers<'b>(
        &mut self,
        rest: &'b [u8],
        each: &mut impl FnMut(Piece<'_>) -> Result<(), String>,
    ) -> Result<&'b [u8], String> {
        let (end, skipped) = if rest.starts_with(b"\r\n") {
            (0, 2)
        } else {
            match find(rest, b"\r\n\r\n") {
                Some(at) => (at, 4),
                None if rest.len() > HEADERS => return Err("a part of it has headers without end".to_owned()),
                None => return Ok(rest),
            }
        };
        let text = String::from_utf8_lossy(&rest[..end]).replace("\r\n ", " ").replace("\r\n\t", " ");
        let headers = text.split("\r\n").filter_map(|line| line.split_once(':'));
        each(Piece::Begins(
            headers.map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())).collect(),
        ))?;
        (self.place, self.fresh) = (Place::Part, true);
        // An empty part ends where its headers do.
        Ok(&rest[end + skipped - 2..])
    }

    fn part<'b>(
        &mut self,
        rest: &'b [u8],
        each: &mut impl FnMut(Piece<'_>) -> Result<(), String>,
    ) -> Result<&'b [u8], String> {
        // The line that ended the headers stands before a part's first bytes: the delimiter of an empty part begins with it.
        let skipped = if self.fresh { 2 } else { 0 };
        let (end, over) = match find(rest, &self.delimiter) {
            Some(at) => (at, true),
            None => (rest.len().saturating_sub(self.delimiter.len() - 1), false),
        };
        if end > skipped {
            each(Piece::Bytes(&rest[skipped..end]))?;
            self.fresh = false;
        }
        if over {
            each(Piece::Ends)?;
            self.place = Place::Line;
            return Ok(&rest[end + self.delimiter.len()..]);
        }
        Ok(if self.fresh { rest } else { &rest[end..] })
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Part = (Vec<(String, String)>, Vec<u8>);

    fn parts(body: &[u8], pieces: usize) -> Result<Vec<Part>, String> {
        let mut multipart = Multipart::new("b:1")?;
        let mut parts: Vec<Part> = Vec::new();
        for chunk in body.chunks(pieces.max(1)) {
            multipart.feed(chunk, |piece| {
                match piece {
                    Piece::Begins(headers) => parts.push((headers, Vec::new())),
                    Piece::Bytes(bytes) => parts.last_mut().ok_or("bytes before a part")?.1.extend_from_slice(bytes),
                    Piece::Ends => {}
                }
                Ok(())
            })?;
        }
        multipart.finish().map(|()| parts)
    }

    fn body(contents: &[&[u8]]) -> Vec<u8> {
        let mut body = b"preamble".to_vec();
        for content in contents {
            body.extend_from_slice(b"\r\n--b:1 \r\nContent-ID:\r\n <x@y>\r\nX: 1\r\n\r\n");
            body.extend_from_slice(content);
        }
        body.extend_from_slice(b"\r\n--b:1--\r\nepilogue");
        body
    }

    #[test]
    fn parameters_are_found_quoted_or_not() {
        let value = "multipart/related; type=\"a/b\"; boundary=\"uuid:1;2\"; start=<r@x> ; start-info=\"text/xml\"";
        assert_eq!(parameter(value, "boundary").as_deref(), Some("uuid:1;2"));
        assert_eq!(parameter(value, "START").as_deref(), Some("<r@x>"));
        assert_eq!(parameter("multipart/related;boundary=abc", "boundary").as_deref(), Some("abc"));
        for none in ["multipart/related", "multipart/related; boundary", "x; y=\"z"] {
            assert_eq!(parameter(none, "boundary"), None);
        }
    }

    #[test]
    fn a_body_without_its_end_is_cut() {
        let whole = body(&[b"a", b"bc"]);
        let end = whole.len() - b"--\r\nepilogue".len();
        for cut in 0..end {
            assert!(parts(&whole[..cut], 7).is_err(), "cut at {cut}");
        }
        assert!(parts(b"no boundary at all", 3).is_err());
    }

    proptest! {
        #[test]
        fn parts_come_whole_however_the_body_is_cut(
            contents in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()], 0..60), 1..4),
            pieces in 1usize..90,
        ) {
            let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
            prop_assume!(contents.iter().all(|it| find(it, b"\r\n--b:1").is_none() && !it.starts_with(b"--b:1")));
            let found = parts(&body(&contents), pieces).unwrap();
            let bytes: Vec<&[u8]> = found.iter().map(|(_, bytes)| bytes.as_slice()).collect();
            prop_assert_eq!(bytes, contents);
            prop_assert_eq!(&found[0].0[0], &("content-id".to_owned(), "<x@y>".to_owned()));
        }
    }
}
