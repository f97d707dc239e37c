//! Whether a PDF or a ZIP is whole: both end with a record that a cut takes away.

use std::io::{self, Read, Seek, SeekFrom};

use super::{MediaType, NotAReturn};

/// Readers look for `%%EOF` in the last KiB of a PDF (ISO 32000-1, annex H.3.4.4), so some writers pad that much.
const PDF_TAIL_BYTES: u64 = 1024;
/// Size of a ZIP's end record without its comment, which is at most 64 KiB - 1 (APPNOTE 4.3.16).
const ZIP_END_BYTES: usize = 22;
const ZIP_TAIL_BYTES: u64 = 64 * 1024 + ZIP_END_BYTES as u64;
/// In the end record, an offset that is to be found in the ZIP64 record.
const IN_ZIP64: u32 = u32::MAX;

/// Whether the PDF of `size` bytes ends as one.
pub(super) fn whole_pdf<R: Read + Seek>(reader: &mut R, size: u64) -> io::Result<Result<(), NotAReturn>> {
    let tail = read_tail(reader, size, PDF_TAIL_BYTES)?;
    let whole = tail.windows(5).any(|window| window == b"%%EOF");
    Ok(whole.then_some(()).ok_or(NotAReturn::Cut {
        media_type: MediaType::Pdf,
        what: "it starts as a PDF and has no end-of-file mark (%%EOF) in its last KiB",
    }))
}

/// Whether the ZIP of `size` bytes ends with a directory of its own: a ZIP cut within a ZIP it holds does not.
pub(super) fn whole_zip<R: Read + Seek>(reader: &mut R, size: u64) -> io::Result<Result<(), NotAReturn>> {
    let tail = read_tail(reader, size, ZIP_TAIL_BYTES)?;
    let ends: Vec<usize> = (0..tail.len().saturating_sub(ZIP_END_BYTES - 1))
        .rev()
        .filter(|&at| tail[at..].starts_with(b"PK\x05\x06") && comment_fits(&tail[at..]))
        .collect();
    for at in ends {
        let end = &tail[at..];
        let directory = u32::from_le_bytes([end[16], end[17], end[18], end[19]]);
        if directory == IN_ZIP64 || holds_directory(reader, directory)? {
            return Ok(Ok(()));
        }
    }
    Ok(Err(NotAReturn::Cut {
        media_type: MediaType::Zip,
        what: "it starts as a ZIP and does not end with a directory of what it holds",
    }))
}

/// Whether the comment announced by the end record that starts `end` is there.
fn comment_fits(end: &[u8]) -> bool {
    let comment = usize::from(u16::from_le_bytes([end[20], end[21]]));
    ZIP_END_BYTES + comment <= end.len()
}

/// Whether a directory starts at `offset`: an entry of one, or the end record of an empty one.
fn holds_directory<R: Read + Seek>(reader: &mut R, offset: u32) -> io::Result<bool> {
    reader.seek(SeekFrom::Start(offset.into()))?;
    let mut signature = Vec::with_capacity(4);
    reader.take(4).read_to_end(&mut signature)?;
    Ok(matches!(signature.as_slice(), b"PK\x01\x02" | b"PK\x05\x06"))
}

fn read_tail<R: Read + Seek>(reader: &mut R, size: u64, limit: u64) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(size.saturating_sub(limit)))?;
    let mut tail = Vec::new();
    reader.take(limit).read_to_end(&mut tail)?;
    Ok(tail)
}
