use proptest::prelude::*;

use super::*;

const ENVELOPE: &str = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><n:r xmlns:n='u'><return>\
    <documentId>7</documentId><content>@</content></return></n:r></s:Body></s:Envelope>";

fn include(href: &str) -> String {
    ENVELOPE.replace('@', &format!("<x:Include xmlns:x='http://www.w3.org/2004/08/xop/include' href='{href}'/>"))
}

fn part(headers: &str, bytes: &[u8]) -> Vec<u8> {
    [b"\r\n--B\r\n", headers.as_bytes(), b"\r\n\r\n", bytes].concat()
}

fn read(kind: &str, body: &[u8], pieces: usize) -> Result<Vec<u8>, String> {
    let (mut answer, mut out) = (Answer::of(kind, Scanner::of_document())?, Vec::new());
    for chunk in body.chunks(pieces.max(1)) {
        answer.feed(chunk, &mut out)?;
    }
    answer.finish().map(|_| out)
}

const KIND: &str = "multipart/related; type=\"application/xop+xml\"; boundary=B; start=\"<root@x>\"";

#[test]
fn a_part_is_the_document_wherever_it_stands_and_however_it_is_named() {
    let root = |href: &str| part("Content-Type: application/xop+xml\r\nContent-ID: <root@x>", include(href).as_bytes());
    let document = part("Content-ID: <a+b@x>\r\nContent-Transfer-Encoding: binary", b"\x00\xff\r\n--notB\r\n");
    let encoded = part("Content-ID: <a+b@x>\r\nContent-Transfer-Encoding: BASE64", b"AP8NCi0tbm90Qg0K");
    let other = part("Content-ID: <other@x>", b"nothing");
    let end = b"\r\n--B--\r\n".to_vec();
    for parts in [
        vec![root("cid:a+b@x"), document.clone()],
        vec![root("cid:a%2Bb%40x"), other.clone(), document.clone()],
        vec![root("cid:a%2bb@x"), encoded],
        vec![document.clone(), root("cid:a+b@x"), other],
    ] {
        let body = [parts.concat(), end.clone()].concat();
        for pieces in 1..40 {
            assert_eq!(read(KIND, &body, pieces).as_deref(), Ok(b"\x00\xff\r\n--notB\r\n".as_slice()), "{pieces}");
        }
    }
    let missing = [root("cid:c@x"), document.clone(), end.clone()].concat();
    assert!(read(KIND, &missing, 9).unwrap_err().contains("not among its parts"));
    let alone = [root("cid:a+b@x"), end].concat();
    assert!(read(KIND, &alone, 9).is_err());
    assert!(read(KIND, &[root("cid:a+b@x"), document].concat(), 9).unwrap_err().contains("cut"));
    assert!(read("text/xml", include("cid:a").as_bytes(), 9).unwrap_err().contains("has no parts"));
}

#[test]
fn dialects_of_parts_are_understood() {
    let envelope = include("cid:a%2Bb@x");
    let root = |headers: &str| part(headers, envelope.as_bytes());
    let document = part("Content-ID: <a+b@x>", b"DOC");
    let end = b"\r\n--B--".to_vec();
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &envelope);
    let inline = ENVELOPE.replace('@', "RE9D");
    let large = part("Content-ID: <d@x>", &b"x".repeat(9000));
    let (text, bogus) = ("multipart/related; boundary=B", "multipart/related; boundary=B; start=\"<none@x>\"");
    for (name, kind, parts) in [
        ("both names are encoded", KIND, vec![root("Content-ID: <root@x>"), part("Content-ID: <a%2Bb@x>", b"DOC")]),
        (
            "the root is base64",
            KIND,
            vec![
                part("Content-ID: <root@x>\r\nContent-Transfer-Encoding: base64", base64.as_bytes()),
                document.clone(),
            ],
        ),
        (
            "an unrelated part",
            KIND,
            vec![part("Content-ID: <root@x>", inline.as_bytes()), part("Content-ID: <o@x>", b"?"), large],
        ),
        ("a start that is no part", bogus, vec![root("Content-ID: <root@x>"), document.clone()]),
        ("a start that is no part, the root last", bogus, vec![document.clone(), root("Content-ID: <root@x>")]),
        ("no start, the root last", text, vec![document.clone(), root("X: 1")]),
        ("an odd parameter", "multipart/related; odd; boundary=B", vec![root("X: 1"), document.clone()]),
        (
            "a part that is quoted-printable, and not the document",
            KIND,
            vec![
                root("Content-ID: <root@x>"),
                document.clone(),
                part("Content-Transfer-Encoding: quoted-printable", b"=41"),
            ],
        ),
    ] {
        let body = [parts.concat(), end.clone()].concat();
        for pieces in [1, 7, 4096, body.len()] {
            assert_eq!(read(kind, &body, pieces).as_deref(), Ok(b"DOC".as_slice()), "{name}, {pieces}");
        }
    }
    let body = [root("Content-ID: <root@x>"), document, end].concat();
    let feeds = String::from_utf8(body).unwrap().replace("\r\n", "\n");
    assert_eq!(read(KIND, feeds.as_bytes(), 5).as_deref(), Ok(b"DOC".as_slice()));
}

#[test]
fn parts_that_may_be_another_document_are_refused() {
    let inline = part("Content-ID: <root@x>", ENVELOPE.replace('@', "RE9D").as_bytes());
    let (document, end) = (part("Content-ID: <d@x>", b"DOC"), b"\r\n--B--".to_vec());
    let before = [document.clone(), inline, end.clone()].concat();
    assert!(read(KIND, &before, 9).unwrap_err().contains("one before it"));
    let empty = part("Content-ID: <root@x>", ENVELOPE.replace('@', "").as_bytes());
    let unrelated = [document.clone(), empty, end.clone()].concat();
    assert!(read(KIND, &unrelated, 9).unwrap_err().contains("does not refer to"));
    let rootless = [document.clone(), document, end.clone()].concat();
    assert!(read(KIND, &rootless, 9).unwrap_err().contains("none of its parts"));
    let quoted = [part("Content-ID: <root@x>\r\nContent-Transfer-Encoding: quoted-printable", b"<a/>"), end].concat();
    assert!(read(KIND, &quoted, 9).unwrap_err().contains("quoted-printable"));
}

#[test]
fn parts_without_end_are_refused() {
    let root = part("Content-ID: <root@x>", include("cid:d@x").as_bytes());
    let many = [root.clone(), part("X: 1", b"").repeat(70)].concat();
    assert!(read(KIND, &many, 4096).unwrap_err().contains("more than 64 parts"));
    let mut sorter = Sorter::new(None, Scanner::of_document());
    let headers = [("x".to_owned(), "y".repeat(600 << 10))];
    sorter.begin(&headers).unwrap();
    assert!(sorter.begin(&headers).unwrap_err().contains("nothing refers to"));
}

#[test]
fn a_fault_may_come_in_parts_and_in_any_charset() {
    let envelope = "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body><s:Fault>\
        <faultcode>s:Client</faultcode><faultstring>r\u{e9}cup\u{e9}ration</faultstring></s:Fault></s:Body></s:Envelope>";
    let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(envelope);
    let body = [part("Content-Type: text/xml; charset=ISO-8859-1", &latin), b"\r\n--B--".to_vec()].concat();
    let mut answer = Answer::of(KIND, Scanner::of_document()).unwrap();
    answer.feed(&body, &mut Vec::new()).unwrap();
    assert_eq!(answer.finish(), Ok(Message::Fault(vec!["récupération".to_owned()])));
}

#[test]
fn a_large_document_is_not_held() {
    let text = "QUJD".repeat(1 << 20);
    let (head, tail) = ENVELOPE.split_once('@').unwrap();
    let (mut answer, mut out, mut count) = (Answer::of("text/xml", Scanner::of_document()).unwrap(), Vec::new(), 0);
    answer.feed(head.as_bytes(), &mut out).unwrap();
    for _ in 0..4 {
        for chunk in text.as_bytes().chunks(16 << 10) {
            answer.feed(chunk, &mut out).unwrap();
            count += out.len();
            assert!(out.capacity() < 64 << 10);
            out.clear();
        }
    }
    answer.feed(tail.as_bytes(), &mut out).unwrap();
    answer.finish().unwrap();
    assert_eq!(count, 12 << 20);
}

proptest! {
    #[test]
    fn any_document_comes_back_in_parts(bytes: Vec<u8>, pieces in 1usize..70) {
        prop_assume!(!bytes.windows(5).any(|window| window == b"\r\n--B"));
        let root = part("Content-ID: <root@x>", include("cid:d@x").as_bytes());
        let body = [root, part("Content-ID: <d@x>", &bytes), b"\r\n--B--".to_vec()].concat();
        prop_assert_eq!(read(KIND, &body, pieces).unwrap(), bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, at in 0usize..400, pieces in 1usize..70) {
        let root = part("Content-ID: <root@x>", include("cid:d@x").as_bytes());
        let mut body = [root, part("Content-ID: <d@x>", b"abc"), b"\r\n--B--".to_vec()].concat();
        for (index, byte) in bytes.iter().enumerate() {
            let length = body.len();
            body[(at + index * 31) % length] = *byte;
        }
        let _ = read(KIND, &body, pieces);
    }
}
