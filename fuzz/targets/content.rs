//! Whether a body is a return: what is accepted as XML another reader accepts too, and no part of it is one.
//!
//! The input: a byte for the length of reads, two for a cut, the body.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use quick_xml::Reader;
use quick_xml::events::Event;
use vaguemestre::content::{self, MediaType};
use vaguemestre_fuzz::{Halting, memory};

fuzz_target!(|bytes: &[u8]| {
    let [length, high, low, body @ ..] = bytes else { return };
    let (judged, held) = memory(|| judge(body));
    assert!(held < 4 << 20, "{held} bytes held");
    let slowly = content::judge(Halting::new(body, *length), body.len() as u64).expect("no disk is read");
    assert_eq!(judged, slowly);
    match &judged {
        Ok(MediaType::Xml) => {
            let text = content::xml_text(body).expect("it was accepted");
            read_by_another(&text);
            if text.as_bytes() == body {
                no_part_of_it(body, usize::from(*high) << 8 | usize::from(*low));
            }
        }
        Ok(kind) => assert!(matches!(kind, MediaType::Pdf | MediaType::Zip | MediaType::Binary), "{kind:?}"),
        Err(reason) => assert!(vaguemestre_fuzz::is_line(&reason.to_string()), "{reason}"),
    }
});

fn judge(body: &[u8]) -> Result<MediaType, content::NotAReturn> {
    content::judge(Cursor::new(body), body.len() as u64).expect("no disk is read")
}

fn read_by_another(text: &str) {
    let mut reader = Reader::from_str(text);
    loop {
        match reader.read_event() {
            Ok(Event::Eof) => return,
            Ok(Event::Start(start) | Event::Empty(start)) => {
                for attribute in start.attributes() {
                    attribute.expect("an attribute that was accepted");
                }
            }
            Ok(_) => {}
            Err(error) => panic!("accepted, and quick-xml says: {error}"),
        }
    }
}

/// Behind the root of an accepted document there are blanks, comments and instructions at most.
fn no_part_of_it(body: &[u8], cut: usize) {
    let (part, rest) = body.split_at(cut % (body.len() + 1));
    if judge(part) == Ok(MediaType::Xml) {
        let rest = rest.trim_ascii_start();
        assert!(rest.is_empty() || rest.starts_with(b"<!--") || rest.starts_with(b"<?"), "a part was accepted");
    }
}
