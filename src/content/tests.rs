//! What is promised about each kind of body; XML has files of its own.

use std::io::Cursor;

use super::*;

mod generated;
mod large;
mod xml;

/// Made up by us after the samples that public projects keep; in ISO-8859-1, as nearly every PES is.
const PES_ACQUIT: &[u8] = include_bytes!("../../tests/fixtures/content/pes_acquit.xml");
const PES_RETOUR: &[u8] = include_bytes!("../../tests/fixtures/content/pes_retour.xml");
/// In UTF-8, with a file in base64.
const CPP_FACTURE_PIVOT: &[u8] = include_bytes!("../../tests/fixtures/content/cpp_facture_pivot.xml");

fn judged(bytes: &[u8]) -> Result<MediaType, NotAReturn> {
    judge(Cursor::new(bytes), bytes.len() as u64).unwrap()
}

/// The kind of refusal of `bytes`, or what they were accepted as.
fn verdict(bytes: impl AsRef<[u8]>) -> &'static str {
    match judged(bytes.as_ref()) {
        Ok(media_type) => media_type.as_str(),
        Err(refusal) => refusal.kind(),
    }
}

/// A ZIP of one stored file.
fn zip(content: &[u8]) -> Vec<u8> {
    let le = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut file = b"\x14\0\0\0\0\0\0\0\x21\x5c\0\0\0\0".to_vec();
    file.extend([le(content.len()), le(content.len())].concat());
    file.extend(b"\x05\0\0\0");
    let mut zip = [b"PK\x03\x04", file.as_slice(), b"a.xml", content].concat();
    let directory = zip.len();
    zip.extend([b"PK\x01\x02\x14\0", file.as_slice(), b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0", b"a.xml"].concat());
    let size = zip.len() - directory;
    zip.extend([b"PK\x05\x06\0\0\0\0\x01\0\x01\0".as_slice(), &le(size), &le(directory), b"\x04\0fin."].concat());
    zip
}

#[test]
fn returns_of_each_kind_are_accepted_as_what_they_are() {
    for sample in [PES_ACQUIT, PES_RETOUR, CPP_FACTURE_PIVOT] {
        assert_eq!(judged(sample), Ok(MediaType::Xml));
    }
    assert_eq!(judged(b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj\nstartxref\n9\n%%EOF\n"), Ok(MediaType::Pdf));
    assert_eq!(judged(&zip(b"<a/>")), Ok(MediaType::Zip));
    assert_eq!(judged(b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), Ok(MediaType::Zip), "an empty ZIP");
    assert_eq!(judged(b"\x30\x82\x05\x10\x06\x09\x2A\x86\x48"), Ok(MediaType::Binary), "a detached signature");
}

#[test]
fn extensions_are_those_the_contract_names() {
    let extensions = [MediaType::Xml, MediaType::Pdf, MediaType::Zip, MediaType::Json, MediaType::Binary];
    assert_eq!(extensions.map(MediaType::extension), ["xml", "pdf", "zip", "json", "bin"]);
    assert_eq!([MediaType::Html, MediaType::Text].map(MediaType::extension), ["bin", "bin"]);
}

#[test]
fn the_start_of_the_reader_counts_not_where_it_stands() {
    let mut reader = Cursor::new(b"<a></a>");
    reader.set_position(5);
    assert_eq!(judge(reader, 7).unwrap(), Ok(MediaType::Xml));
}

#[test]
fn empty_bodies_are_refused() {
    for body in ["", " ", "\r\n\t ", "\u{FEFF}", "\u{FEFF}\n", "\0\0\0\0", "\n\0\n"] {
        assert_eq!(verdict(body), "empty", "{body:?}");
    }
    assert_eq!(verdict(b"\xFF\xFE"), "empty");
    assert_eq!(verdict(b"\xFF\xFE<"), "empty", "a character of UTF-16 cut in two");
}

#[test]
fn pages_are_refused_by_their_title() {
    let pages = [
        "<!DOCTYPE html><html><head><title>Connexion</title></head></html>",
        "\u{FEFF}\r\n<!-- proxy -->\n<!doctype HTML public \"-//IETF//DTD HTML 2.0//EN\"><TITLE lang=fr>Connexion</TITLE>",
        "<HTML>\n<head><title>\n  Conne\u{200B}xion\n</title>",
        "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>Connexion</title></head></html>",
        "<?xml version=\"1.0\"?>\n<!DOCTYPE html PUBLIC \"a\" \"b\"><html><title>Connexion",
        "<head><title>Connexion</title></head>",
    ];
    for page in pages {
        assert_eq!(judged(page.as_bytes()), Err(NotAReturn::Html { title: Some("Connexion".into()) }), "{page}");
    }
    assert_eq!(judged(b"<html><body>502</body></html>"), Err(NotAReturn::Html { title: None }));
    let refusal = judged(b"<html><title>Acc\xE8s refus\xE9 \xAB&nbsp;\x1B[31m\xBB</title>").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "the platform sent an HTML page (\"Accès refusé «&nbsp; [31m»\") in place of the document"
    );
}

#[test]
fn long_titles_are_shortened() {
    let page = format!("<html><title>{}</title>", "é".repeat(500));
    let Err(NotAReturn::Html { title: Some(title) }) = judged(page.as_bytes()) else { panic!("{page}") };
    assert_eq!(title, format!("{}…", "é".repeat(79)));
}

#[test]
fn elements_that_only_resemble_those_of_a_page_are_xml() {
    for document in ["<htmlx/>", "<html-export/>", "<h:html xmlns:h='u'/>", "<!-- <html> --><a/>", "<header/>"] {
        assert_eq!(verdict(document), "application/xml", "{document}");
    }
    assert_eq!(verdict("<!DOCTYPE htmlish><a/>"), "document_type");
    assert_eq!(verdict("<!-- <html>"), "not_well_formed");
}

#[test]
fn the_platforms_error_object_is_refused_by_what_it_says() {
    let body = br#" {"generation":1575970881000,"developerMessage":"Internal error: Invalid docId",
        "userFriendlyMessage":"Document inconnu","errorCode":111}"#;
    let message = "Internal error: Invalid docId; Document inconnu".to_owned();
    assert_eq!(judged(body), Err(NotAReturn::JsonError(PlatformError { code: Some(111), message })));
    assert_eq!(
        judged(body).unwrap_err().to_string(),
        "the platform sent an error in place of the document: Internal error: Invalid docId; Document inconnu (code 111)"
    );
}

#[test]
fn platform_errors_are_read_whatever_fields_they_have() {
    let read = |json: &str| platform_error(json.as_bytes()).map(|error| (error.code, error.message));
    let error = |code, message: &str| Some((code, message.to_owned()));
    assert_eq!(read(r#"{"developerMessage":"a","userFriendlyMessage":"a"}"#), error(None, "a"));
    assert_eq!(read(r#"{"developerMessage":null,"userFriendlyMessage":"b","errorCode":"102"}"#), error(Some(102), "b"));
    assert_eq!(read(r#"{"developerMessage":" ","errorCode":100}"#), error(Some(100), ""));
    assert_eq!(read(r#"{"developerMessage":{"x":[1]},"errorCode":100.5,"userFriendlyMessage":"c"}"#), error(None, "c"));
    assert_eq!(read("\u{FEFF}{\"developerMessage\":\"d\\u0000\\n\\u001b[2J\\u202ee\"}\r\n"), error(None, "d [2Je"));
    for other in [
        "",
        "{}",
        "[]",
        "[10, 11, 12]",
        r#"["1", "a", "b"]"#,
        "null",
        r#"{"error":"x"}"#,
        r#"{"developerMessage":null}"#,
        r#"{"errorCode":1"#,
    ] {
        assert_eq!(read(other), None, "{other}");
    }
    let latin = platform_error(b"{\"developerMessage\":\"refus\xE9\"}").unwrap();
    assert_eq!(latin.to_string(), "refusé");
    let long = platform_error(format!(r#"{{"developerMessage":"{}"}}"#, "à".repeat(4000)).as_bytes()).unwrap();
    assert_eq!(long.message.chars().count(), 200);
    let huge = format!(r#"{{"errorCode":1,"developerMessage":"{}"}}"#, "a".repeat(70_000));
    assert_eq!(read(&huge), None);
}

#[test]
fn no_json_is_a_return() {
    for body in ["{}", "[320073963, 320073961]", "\"320073963\"", "\u{FEFF}\n{\"comment\": \"non\"}\n"] {
        assert_eq!(verdict(body), "json", "{body}");
    }
    assert_eq!(verdict(format!("[{}1]", "1, ".repeat(50_000))), "json");
    assert_eq!(verdict(r#"{"developerMessage":"cut"#), "text");
    assert_eq!(verdict("[".repeat(5000)), "text", "nesting does not exhaust the stack");
}

#[test]
fn words_are_refused_with_how_they_start() {
    assert_eq!(
        judged(b"Service indisponible,\r\nr\xE9essayez \xE0 8\xA0h").unwrap_err().to_string(),
        "the platform sent plain text in place of the document: \"Service indisponible, réessayez à 8 h\""
    );
    for body in ["null", "320073963", "Internal error: Invalid docId", "é", "{\\rtf1 x}", "Erreur <a/>"] {
        assert_eq!(verdict(body), "text", "{body}");
    }
    let utf16: Vec<u8> = "\u{FEFF}Accès refusé".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(verdict(utf16), "text");
    assert_eq!(verdict(b"\xFF\xFEA\0\x41\xD8B\0C\0"), "application/octet-stream", "no UTF-16 behind its mark");
    assert_eq!(
        judged(format!("é{}é", "a".repeat(65_533)).as_bytes()),
        Err(NotAReturn::Text { start: format!("é{}…", "a".repeat(78)) }),
        "a character lies across the end of what is looked at"
    );
}

#[test]
fn no_part_of_a_pdf_is_kept_as_one() {
    let pdf = [b"%PDF-1.4\n".as_slice(), &[7; 3000], b"\nstartxref\n42\n%%EOF"].concat();
    assert_eq!(judged(&pdf), Ok(MediaType::Pdf));
    for end in 0..pdf.len() {
        assert!(judged(&pdf[..end]).is_err(), "{end}");
    }
    let Err(cut) = judged(&pdf[..2000]) else { panic!() };
    assert_eq!((cut.kind(), cut.media_type()), ("cut", MediaType::Pdf));
    assert_eq!(judged(&[pdf.as_slice(), &[b'\n'; 1000]].concat()), Ok(MediaType::Pdf));
    assert_eq!(verdict([pdf.as_slice(), &[0; 1100]].concat()), "cut");
}

#[test]
fn no_part_of_a_zip_is_kept_as_one_even_cut_behind_a_zip_it_holds() {
    let inner = zip(b"<a/>");
    let outer = zip(&inner);
    for end in 3..outer.len() {
        assert_eq!(verdict(&outer[..end]), "cut", "{end}");
    }
    assert_eq!((verdict(&outer[..1]), verdict(&outer[..2])), ("text", "text"));
    assert_eq!(judged(&[outer.as_slice(), b"\r\n"].concat()), Ok(MediaType::Zip), "a line feed behind it");
    let mut large = zip(&vec![b'x'; 200_000]);
    assert_eq!(judged(&large), Ok(MediaType::Zip));
    large.truncate(190_000);
    assert_eq!(verdict(&large), "cut");
}

#[test]
fn refusals_say_what_the_bytes_pretend_to_be() {
    let media_type = |body: &[u8]| judged(body).unwrap_err().media_type();
    assert_eq!(media_type(b""), MediaType::Binary);
    assert_eq!(media_type(b"<html>"), MediaType::Html);
    assert_eq!(media_type(b"{}"), MediaType::Json);
    assert_eq!(media_type(b"non"), MediaType::Text);
    assert_eq!(media_type(b"<a>"), MediaType::Xml);
    assert_eq!(media_type(b"PK\x03\x04"), MediaType::Zip);
}

#[test]
fn failures_of_the_disk_are_no_judgement() {
    struct Failing(Cursor<Vec<u8>>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.position() >= 100_000 { Err(io::Error::other("EIO")) } else { self.0.read(buffer) }
        }
    }
    impl Seek for Failing {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }
    let text = format!("<a>{}</a>", "x".repeat(300_000)).into_bytes();
    let size = text.len() as u64;
    assert_eq!(judge(Failing(Cursor::new(text)), size).unwrap_err().to_string(), "EIO");
}
