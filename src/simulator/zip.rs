//! Archives as the platform makes them for what it gives out once more: ZIP, without compression.

/// A ZIP of these files, each stored as it is (APPNOTE.TXT, §4.3).
pub(super) fn stored(files: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let offset = short(archive.len());
        let mut facts = Vec::new();
        // Version 2.0, no flags, stored, and a time that nobody asks for.
        for field in [20_u16, 0, 0, 0, 0x21] {
            facts.extend(field.to_le_bytes());
        }
        for field in [checksum(bytes), short(bytes.len()), short(bytes.len())] {
            facts.extend(field.to_le_bytes());
        }
        facts.extend(u16::try_from(name.len()).unwrap_or_default().to_le_bytes());
        facts.extend(0_u16.to_le_bytes());
        archive.extend(b"PK\x03\x04");
        archive.extend(&facts);
        archive.extend(name.as_bytes());
        archive.extend(*bytes);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&facts);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (short(archive.len()), u16::try_from(files.len()).unwrap_or_default());
    archive.extend(&directory);
    archive.extend(b"PK\x05\x06\x00\x00\x00\x00");
    archive.extend(count.to_le_bytes());
    archive.extend(count.to_le_bytes());
    archive.extend(short(directory.len()).to_le_bytes());
    archive.extend(start.to_le_bytes());
    archive.extend(0_u16.to_le_bytes());
    archive
}

fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// CRC-32 (ISO 3309).
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(super::checksum(b"123456789"), 0xCBF4_3926);
    }
}
