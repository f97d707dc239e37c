//! Documents made at random: well-formed ones pass in every encoding and however they are read, broken ones do not.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// An element with what it holds, well-formed by construction.
fn element() -> impl Strategy<Value = String> {
    let attribute = ("[a-zé_][a-z0-9.é-]{0,5}", "([^<&\"\\x00-\\x1F\\u{FFFE}\\u{FFFF}]|&lt;|&#xE9;){0,6}");
    let attributes = vec(attribute, 0..4).prop_map(|mut all| {
        all.sort();
        all.dedup_by(|one, other| one.0 == other.0);
        all.iter().map(|(name, value)| format!(" {name} = \"{value}\"")).collect::<String>()
    });
    let tag = ("[A-Za-zÉ_:][A-Za-z0-9.é-]{0,8}", attributes);
    let leaf = tag.clone().prop_map(|(name, attributes)| format!("<{name}{attributes}/>"));
    leaf.prop_recursive(5, 40, 6, move |inner| {
        let piece = prop_oneof![
            inner,
            "[a-zA-Z0-9 é€\n\t]{0,30}",
            Just("&amp;".to_owned()),
            "[a-z<>& ]{0,9}".prop_map(|text| format!("<![CDATA[{text}]]>")),
            "[a-z<>& ]{0,9}".prop_map(|text| format!("<!--{text}-->")),
            "[a-z<& ]{0,9}".prop_map(|text| format!("<?p {text}?>")),
        ];
        (tag.clone(), vec(piece, 0..6))
            .prop_map(|((name, attributes), pieces)| format!("<{name}{attributes}>{}</{name}\n>", pieces.concat()))
    })
}

/// Hands out its bytes in pieces of one size, and now and then none at all because of a signal.
struct Pieces<'a> {
    bytes: Cursor<&'a [u8]>,
    size: usize,
    interrupted: bool,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupted = !self.interrupted;
        if self.interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let room = buffer.len().min(self.size);
        self.bytes.read(&mut buffer[..room])
    }
}

impl Seek for Pieces<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn well_formed_documents_pass_in_every_encoding(root in element()) {
        prop_assert_eq!(judged(root.as_bytes()), Ok(MediaType::Xml));
        let utf16: Vec<u8> = format!("\u{FEFF}{root}").encode_utf16().flat_map(u16::to_be_bytes).collect();
        prop_assert_eq!(judged(&utf16), Ok(MediaType::Xml));
        let document = format!("<?xml version='1.0' encoding='windows-1252'?>\n{root}\n");
        let (latin, _, replaced) = encoding_rs::WINDOWS_1252.encode(&document);
        prop_assert!(replaced || judged(&latin) == Ok(MediaType::Xml));
    }

    #[test]
    fn no_part_of_a_document_passes(root in element(), cut in any::<prop::sample::Index>()) {
        let end = cut.index(root.len());
        prop_assert!(judged(&root.as_bytes()[..end]).is_err(), "{}", &root.as_bytes()[..end].escape_ascii());
    }

    #[test]
    fn no_document_passes_with_a_tag_taken_out_or_doubled(root in element(), which in any::<prop::sample::Index>()) {
        let document = format!("<r>{root}</r>");
        // A tag without attributes, in a document where every `<` starts a tag.
        let bare = !document.contains("<!") && !document.contains("<?");
        let starts: Vec<usize> = document.match_indices('<').map(|(at, _)| at).collect();
        let start = starts[which.index(starts.len())];
        let end = start + document[start..].find('>').unwrap_or(0) + 1;
        let tag = &document[start..end];
        prop_assume!(bare && !tag.ends_with("/>") && !tag.contains('"'));
        let without = [&document[..start], &document[end..]].concat();
        let doubled = [&document[..end], &document[start..]].concat();
        prop_assert!(judged(without.as_bytes()).is_err(), "{without}");
        prop_assert!(judged(doubled.as_bytes()).is_err(), "{doubled}");
    }

    #[test]
    fn the_judgement_does_not_depend_on_how_bytes_arrive(
        root in element(), at in any::<prop::sample::Index>(), byte in any::<u8>(), size in 1_usize..7,
    ) {
        let mut bytes = root.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let pieces = Pieces { bytes: Cursor::new(&bytes), size, interrupted: false };
        prop_assert_eq!(judge(pieces, bytes.len() as u64).unwrap(), judged(&bytes));
    }

    #[test]
    fn no_bytes_break_the_judge(bytes in vec(any::<u8>(), 0..300), start in 0_usize..6) {
        let starts = ["", "<a>", "<?xml version='1.0' encoding='", "PK\x05\x06", "%PDF-", "\u{FEFF}"];
        let bytes = [starts[start].as_bytes(), &bytes].concat();
        if let Err(refusal) = judged(&bytes) {
            prop_assert!(!refusal.to_string().contains(char::is_control));
        }
    }
}
