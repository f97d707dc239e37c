//! A document on its way: it is the body itself, or is taken out of what it comes in.

use bytes::{Bytes, BytesMut};

use super::ConnectorError;
use crate::http::{Body, HttpError};

/// Bytes that are unwrapped at once, counted from the start of the body: what is set aside of a doubtful one does not depend
/// on how the network has cut it, so that the same answer twice is known as the same.
const BLOCK: usize = 4 << 10;
/// Bytes that bring nothing of a document before it is given up to unwrap them; they are held until then.
const SILENT: usize = 256 << 10;
/// Bytes that may come beside a document, whatever its size.
const BESIDE: u64 = 2 << 20;
/// How many bytes may bring one: base64 takes 4 for 3, its line ends written as references among them a little more.
const LARGEST_RATIO: u64 = 4;

/// A document on its way.
#[derive(Debug)]
pub struct Download {
    /// What was read ahead to tell a document from an error.
    head: Option<Bytes>,
    /// The rest.
    rest: Body,
    /// The rest has ended.
    ended: bool,
    /// How the rest broke off, once what had come is handed out.
    failure: Option<HttpError>,
    /// The length the platform announced, in bytes.
    length: Option<u64>,
    /// The length it must have, in bytes, where a listing has told.
    size: Option<u64>,
    /// Bytes handed out.
    received: u64,
    /// Takes the document out of what it comes in.
    wrapping: Option<Wrapping>,
    /// Why what comes is not to be taken for the document.
    doubt: Option<String>,
}

/// Takes a document out of what it comes in.
pub(super) trait Unwrap: std::fmt::Debug + Send + Sync {
    /// Takes the next bytes; what they hold of the document is added to `out`.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String>;

    /// All is there: whether it is whole.
    fn finish(&mut self) -> Result<(), Unfit>;
}

/// What came in place of a document.
#[derive(Debug)]
pub(super) enum Unfit {
    /// Something that may be the document, or hold it: what is wrong.
    Doubtful(String),
    /// An answer that says why there is none.
    Refusal(ConnectorError),
}

impl From<String> for Unfit {
    fn from(detail: String) -> Self {
        Self::Doubtful(detail)
    }
}

impl Download {
    /// A document that is the body itself: its `head`, read ahead, and the `rest`.
    pub(super) fn plain(head: Option<Bytes>, rest: Body, length: Option<u64>) -> Self {
        let (size, received, wrapping, doubt, failure) = (None, 0, None, None, None);
        Self { head, rest, ended: false, failure, length, size, received, wrapping, doubt }
    }

    /// A document in something else: the `head` of that, read ahead, and the `rest`.
    pub(super) fn wrapped(head: Bytes, rest: Body, unwrap: Box<dyn Unwrap>) -> Self {
        Self { wrapping: Some(Wrapping::new(unwrap)), ..Self::plain(Some(head), rest, None) }
    }

    /// A body that may be the document, or hold it, and is not to be taken for it: why.
    pub(super) fn doubtful(head: Option<Bytes>, rest: Body, doubt: String) -> Self {
        Self { doubt: Some(doubt), ..Self::plain(head, rest, None) }
    }

    /// The same, of exactly so many bytes.
    pub(super) fn of_size(self, size: Option<u64>) -> Self {
        Self { size, ..self }
    }

    /// The length the platform announced, in bytes.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Once all has come: why it is not to be taken for the document, though its transfer is whole.
    #[must_use]
    pub fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`ConnectorError::Broken`], or what the server's refusal means; [`ConnectorError::Changed`] where it is longer than
    /// listed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        let next = self.unwrapped().await?;
        self.received += next.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match (&next, self.size) {
            (None, Some(size)) if self.received < size => {
                let detail = format!("{} bytes come where {size} were listed", self.received);
                Err(ConnectorError::Changed { detail })
            }
            (_, Some(size)) if self.received > size => {
                let detail = format!("more than the {size} bytes listed come: it is still being written");
                Err(ConnectorError::Changed { detail })
            }
            _ => Ok(next),
        }
    }

    /// The next bytes of the body, or of what it holds.
    async fn unwrapped(&mut self) -> Result<Option<Bytes>, ConnectorError> {
        loop {
            let chunk = self.chunk().await;
            let Some(wrapping) = &mut self.wrapping else { return Ok(chunk?) };
            let (mut out, over) = (Vec::new(), !matches!(chunk, Ok(Some(_))));
            let taken = match chunk {
                Ok(Some(chunk)) => wrapping.take(&chunk, &mut out).map_err(Unfit::Doubtful),
                Ok(None) => wrapping.finish(&mut out),
                // The document may be all there, though what it comes in is not.
                Err(error) => {
                    self.failure = Some(error);
                    wrapping.flush(&mut out).map_err(Unfit::Doubtful)
                }
            };
            if over || taken.is_err() {
                self.wrapping = None;
            }
            match taken {
                Ok(()) => {}
                Err(Unfit::Doubtful(doubt)) => self.doubt = Some(doubt),
                Err(Unfit::Refusal(error)) => return Err(error),
            }
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
    }

    /// The next bytes of the body.
    async fn chunk(&mut self) -> Result<Option<Bytes>, HttpError> {
        if let Some(head) = self.head.take() {
            return Ok(Some(head));
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let chunk = if self.ended { None } else { self.rest.next().await? };
        self.ended = chunk.is_none();
        Ok(chunk)
    }
}

/// What a document comes in, as it arrives.
#[derive(Debug)]
struct Wrapping {
    unwrap: Box<dyn Unwrap>,
    /// Bytes that do not make a block yet.
    held: BytesMut,
    /// All that has come, while nothing of a document has.
    silent: Vec<u8>,
    /// Bytes of the document.
    brought: u64,
    /// Bytes in all.
    wire: u64,
}

impl Wrapping {
    fn new(unwrap: Box<dyn Unwrap>) -> Self {
        Self { unwrap, held: BytesMut::new(), silent: Vec::new(), brought: 0, wire: 0 }
    }

    /// Takes the next bytes; what they hold of the document is added to `out`.
    ///
    /// # Errors
    /// What is wrong with them. Then `out` has all that is to be set aside: the bytes as they came, or, where some of the
    /// document had come, the rest of them. What follows belongs to it as well.
    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        self.held.extend_from_slice(chunk);
        while self.held.len() >= BLOCK {
            let block = self.held.split_to(BLOCK);
            self.feed(&block, out)?;
        }
        Ok(())
    }

    /// All has come. As [`Wrapping::take`].
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), Unfit> {
        let rest = self.held.split();
        self.feed(&rest, out)?;
        let finished = self.unwrap.finish();
        if let Err(Unfit::Doubtful(_)) = &finished {
            out.append(&mut self.silent);
        }
        finished
    }

    /// No more comes: `out` has what is to be set aside.
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let rest = self.held.split();
        self.feed(&rest, out)?;
        out.append(&mut self.silent);
        Ok(())
    }

    fn feed(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let start = out.len();
        self.wire += block.len() as u64;
        if self.brought == 0 {
            self.silent.extend_from_slice(block);
        }
        let fed = self.unwrap.feed(block, out);
        let brought = (out.len() - start) as u64;
        if let Err(detail) = fed.and_then(|()| self.weigh(self.brought + brought)) {
            out.truncate(start);
            if self.brought == 0 {
                out.append(&mut self.silent);
            } else {
                out.extend_from_slice(block);
            }
            out.extend_from_slice(&self.held.split());
            let place = if self.brought == 0 { "" } else { "; from there on it is set aside as it came" };
            return Err(format!("{detail}{place}"));
        }
        self.brought += brought;
        if self.brought > 0 {
            self.silent = Vec::new();
        }
        Ok(())
    }

    /// Whether what has come is worth its bytes: an answer that brings nothing is not unwrapped for ever.
    fn weigh(&self, brought: u64) -> Result<(), String> {
        if (brought == 0 && self.silent.len() > SILENT) || self.wire > BESIDE + LARGEST_RATIO * brought {
            return Err(format!("{} bytes of the answer bring {brought} of a document", self.wire));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands on letters, drops dots, and dislikes all else; a last `Z` is a refusal.
    #[derive(Debug, Default)]
    struct Letters(u8);

    impl Unwrap for Letters {
        fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
            for &byte in bytes {
                self.0 = byte;
                match byte {
                    b'.' => {}
                    b'a'..=b'z' => out.push(byte),
                    b'Z' => return Ok(()),
                    _ => return Err("no letter".to_owned()),
                }
            }
            Ok(())
        }

        fn finish(&mut self) -> Result<(), Unfit> {
            match self.0 {
                b'Z' => Err(Unfit::Refusal(ConnectorError::Answered { detail: "Z".to_owned() })),
                b'q' | b'.' => Err("an end like this".to_owned().into()),
                _ => Ok(()),
            }
        }
    }

    /// What is handed out of `body`, which comes in such pieces, and why it is doubtful.
    fn unwrap(body: &[u8], pieces: usize) -> (Vec<u8>, Option<String>) {
        let (mut wrapping, mut out) = (Wrapping::new(Box::<Letters>::default()), Vec::new());
        let mut chunks = body.chunks(pieces);
        while let Some(chunk) = chunks.next() {
            if let Err(doubt) = wrapping.take(chunk, &mut out) {
                chunks.for_each(|chunk| out.extend_from_slice(chunk));
                return (out, Some(doubt));
            }
        }
        match wrapping.finish(&mut out) {
            Ok(()) => (out, None),
            Err(Unfit::Doubtful(doubt)) => (out, Some(doubt)),
            Err(Unfit::Refusal(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn what_is_set_aside_of_a_doubtful_answer_is_the_same_however_it_came() {
        let damaged = [vec![b'a'; 9000], b"!".to_vec(), vec![b'.'; 9000]].concat();
        let (expected, doubt) = unwrap(&damaged, damaged.len());
        assert!(expected == damaged, "letters stand for themselves: nothing is left out");
        assert_eq!(doubt.as_deref(), Some("no letter; from there on it is set aside as it came"));
        for pieces in [1, 7, 4096, 5000] {
            assert!(unwrap(&damaged, pieces) == (expected.clone(), doubt.clone()), "{pieces}");
        }
    }

    #[test]
    fn where_nothing_of_a_document_came_all_is_set_aside_as_it_came() {
        for body in [b"....".as_slice(), b"..!a", &[b'.'; 20_000], &[b'.'; 300_000]] {
            for pieces in [1, 4096, 300_000] {
                let (out, doubt) = unwrap(body, pieces);
                assert!(out == body && doubt.is_some(), "{} {pieces}", body.len());
            }
        }
        assert_eq!(unwrap(b"..abq", 2), (b"abq".to_vec(), Some("an end like this".to_owned())));
        assert_eq!(unwrap(b"..ab", 2), (b"ab".to_vec(), None));
    }

    #[test]
    fn an_answer_that_brings_too_little_is_not_unwrapped_for_ever() {
        let body = [b"a".to_vec(), vec![b'.'; 3 << 20]].concat();
        let (out, doubt) = unwrap(&body, 70_000);
        assert!(doubt.unwrap().contains("bring 1 of a document"));
        assert!(out.len() > 900_000, "what comes is set aside from there on");
        let mut wrapping = Wrapping::new(Box::<Letters>::default());
        for _ in 0..60 {
            wrapping.take(&[b'.'; 4096], &mut Vec::new()).unwrap();
            wrapping.take(b"ab", &mut Vec::new()).unwrap();
        }
        assert!(wrapping.silent.is_empty() && wrapping.held.len() < BLOCK);
    }

    #[test]
    fn an_answer_in_place_of_the_document_is_told_as_such() {
        let mut wrapping = Wrapping::new(Box::<Letters>::default());
        wrapping.take(b"..Z", &mut Vec::new()).unwrap();
        assert!(matches!(wrapping.finish(&mut Vec::new()), Err(Unfit::Refusal(_))));
    }
}
