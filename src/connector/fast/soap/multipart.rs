//! Parts of a multipart/related body (RFC 2046, §5.1; RFC 2387) as they arrive: their headers are kept, their bytes handed on.

/// Bytes of headers that a part may have, and of what may stand behind a delimiter in its line.
const HEADERS: usize = 16 << 10;
/// Bytes before the first part, and behind the last.
const AROUND: usize = 64 << 10;

/// The parameter `name` of a header's value (RFC 2045, §5.1), quoted or not.
pub(super) fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let end = rest.find([';', '=']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(after) = after.strip_prefix('=') else {
            // It has no value: whatever it means, it is not asked for.
            rest = after.strip_prefix(';')?;
            continue;
        };
        let after = after.trim_start();
        let (found, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(';').unwrap_or(after.len())),
        };
        if key.trim().eq_ignore_ascii_case(name) {
            return Some(found.trim_end().to_owned());
        }
        rest = next.split_once(';')?.1;
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
    boundary: String,
    /// How its lines end, as the first delimiter's does: CR and LF, or, against the rules, LF alone.
    line_end: &'static str,
    /// A line's end and `--boundary`; before the first, whose line has not told how lines end, it begins with LF.
    delimiter: Vec<u8>,
    place: Place,
    /// Bytes that may be the beginning of a delimiter, or belong to headers.
    held: Vec<u8>,
    /// How many of these were searched for what ends them.
    searched: usize,
    /// No byte of the part has come yet.
    fresh: bool,
    /// Bytes before the first part or behind the last.
    around: usize,
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
        Ok(Self {
            boundary: boundary.to_owned(),
            line_end: "\n",
            delimiter: format!("\n--{boundary}").into_bytes(),
            place: Place::Preamble,
            // The first delimiter may stand at the very beginning: as if a line had ended before.
            held: b"\n".to_vec(),
            searched: 0,
            fresh: false,
            around: 0,
        })
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
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut at = 0;
        loop {
            let (rest, place) = (&held[at..], self.place);
            let taken = match place {
                Place::Preamble => self.preamble(rest)?,
                Place::Line => self.line(rest)?,
                Place::Headers => self.headers(rest, &mut each)?,
                Place::Part => self.part(rest, &mut each)?,
                Place::Epilogue => self.epilogue(rest.len())?,
            };
            if taken > 0 || self.place != place {
                self.searched = 0;
            }
            at += taken;
            if (taken, self.place) == (0, place) {
                break;
            }
        }
        held.drain(..at);
        self.held = held;
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

    /// Where `wanted` begins in `rest`, of which a part was searched for it before.
    fn find(&mut self, rest: &[u8], wanted: &[u8]) -> Option<usize> {
        let from = self.searched.saturating_sub(wanted.len() - 1);
        let found = find(&rest[from..], wanted).map(|at| from + at);
        if found.is_none() {
            self.searched = rest.len();
        }
        found
    }

    fn preamble(&mut self, rest: &[u8]) -> Result<usize, String> {
        if let Some(at) = find(rest, &self.delimiter) {
            self.place = Place::Line;
            return Ok(at + self.delimiter.len());
        }
        let passed = rest.len().saturating_sub(self.delimiter.len() - 1);
        self.around += passed;
        if self.around > AROUND {
            return Err("its first part does not begin".to_owned());
        }
        Ok(passed)
    }

    fn line(&mut self, rest: &[u8]) -> Result<usize, String> {
        if rest.len() < 2 {
            return Ok(0);
        }
        if rest.starts_with(b"--") {
            (self.place, self.around) = (Place::Epilogue, 0);
            return Ok(2);
        }
        let Some(end) = self.find(rest, b"\n") else {
            let long = rest.len() > HEADERS;
            return if long { Err("a delimiter of its parts has no end".to_owned()) } else { Ok(0) };
        };
        if self.delimiter.starts_with(b"\n") && rest[..end].ends_with(b"\r") {
            self.line_end = "\r\n";
            self.delimiter = format!("\r\n--{}", self.boundary).into_bytes();
        }
        self.place = Place::Headers;
        Ok(end + 1)
    }

    fn headers(
        &mut self,
        rest: &[u8],
        each: &mut impl FnMut(Piece<'_>) -> Result<(), String>,
    ) -> Result<usize, String> {
        let line_end = self.line_end;
        let (end, skipped) = if rest.starts_with(line_end.as_bytes()) {
            (0, line_end.len())
        } else {
            match self.find(rest, line_end.repeat(2).as_bytes()) {
                Some(at) if at <= HEADERS => (at, 2 * line_end.len()),
                None if rest.len() <= HEADERS => return Ok(0),
                _ => return Err("a part of it has headers without end".to_owned()),
            }
        };
        let text = String::from_utf8_lossy(&rest[..end]).replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
        let headers = text.split('\n').filter_map(|line| line.split_once(':'));
        each(Piece::Begins(
            headers.map(|(name, value)| (name.trim().to_lowercase(), value.trim().to_owned())).collect(),
        ))?;
        (self.place, self.fresh) = (Place::Part, true);
        // An empty part ends where its headers do.
        Ok(end + skipped - line_end.len())
    }

    fn part(&mut self, rest: &[u8], each: &mut impl FnMut(Piece<'_>) -> Result<(), String>) -> Result<usize, String> {
        // The line that ended the headers stands before a part's first bytes: the delimiter of an empty part begins with it.
        let skipped = if self.fresh { self.line_end.len() } else { 0 };
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
            return Ok(end + self.delimiter.len());
        }
        Ok(if self.fresh { 0 } else { end })
    }

    fn epilogue(&mut self, length: usize) -> Result<usize, String> {
        self.around += length;
        if self.around > AROUND { Err("it goes on behind its end".to_owned()) } else { Ok(length) }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests;
