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
