//! Base64 as it arrives (RFC 4648, §4): in any pieces, with white space between, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decodes one text, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Characters that do not make a whole group yet: fewer than four.
    rest: Vec<u8>,
    /// A group with padding has come: the text is over.
    ended: bool,
    /// Characters read so far.
    read: u64,
    /// Blanks in a row.
    blanks: usize,
}

/// More blanks in a row than between lines of any base64: an answer that brings nothing is not read for ever.
const BLANKS: usize = 64 << 10;

impl Decoder {
    /// Decodes `text` into `out`.
    ///
    /// # Errors
    /// What is no base64, and where.
    pub(super) fn feed(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let mut groups = std::mem::take(&mut self.rest);
        groups.reserve(text.len());
        for &byte in text {
            if byte.is_ascii_whitespace() {
                self.blanks += 1;
                if self.blanks > BLANKS {
                    return Err("its base64 has nothing but blanks".to_owned());
                }
                continue;
            }
            (self.read, self.blanks) = (self.read + 1, 0);
            let legal = byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            if !legal || self.ended {
                return Err(format!("character {} of its base64 has no place there", self.read));
            }
            groups.push(byte);
            self.ended = byte == b'=' && groups.len().is_multiple_of(4);
        }
        self.rest = groups.split_off(groups.len() / 4 * 4);
        let start = out.len();
        out.resize(start + groups.len() / 4 * 3, 0);
        let decoded = STANDARD.decode_slice(&groups, &mut out[start..]);
        let length = decoded.map_err(|_| format!("its base64 is damaged before character {}", self.read + 1))?;
        out.truncate(start + length);
        Ok(())
    }

    /// Whether anything but blanks has come.
    pub(super) fn has_begun(&self) -> bool {
        self.read > 0
    }

    /// The text is over.
    ///
    /// # Errors
    /// When it ends in the middle of a group.
    pub(super) fn finish(&self) -> Result<(), String> {
        if self.rest.is_empty() { Ok(()) } else { Err(format!("its base64 is cut after {} characters", self.read)) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<u8>, String> {
        let (mut decoder, mut out) = (Decoder::default(), Vec::new());
        for piece in pieces {
            decoder.feed(piece, &mut out)?;
        }
        decoder.finish().map(|()| out)
    }

    #[test]
    fn what_is_cut_or_damaged_is_refused() {
        assert_eq!(decode(&[b"QUJD\r\n RA=="]).unwrap(), b"ABCD");
        assert_eq!(decode(&[b""]).unwrap(), b"");
        for bad in ["QUJ", "QUJDR", "QUJDRA", "QUJDRA=", "=QUJ", "QUJD====", "Q=JD", "QUJDRA==QUJD", "QU*D", "QUJDRB=="]
        {
            assert!(decode(&[bad.as_bytes()]).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back_however_they_are_cut(bytes: Vec<u8>, cuts in proptest::collection::vec(1usize..7, 0..200)) {
            let text = STANDARD.encode(&bytes);
            let (mut rest, mut pieces) = (text.as_bytes(), Vec::new());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            prop_assert_eq!(decode(&pieces).unwrap(), bytes);
        }
    }
}
