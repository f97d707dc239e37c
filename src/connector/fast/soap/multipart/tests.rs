use proptest::prelude::*;

use super::*;

type Part = (Vec<(String, String)>, Vec<u8>);

fn parts(body: &[u8], pieces: usize) -> Result<Vec<Part>, String> {
    let mut multipart = Multipart::new("b:1")?;
    let mut parts: Vec<Part> = Vec::new();
    for chunk in body.chunks(pieces.max(1)) {
        multipart.feed(chunk, |piece| {
            match piece {
                Piece::Begins(headers) => parts.push((headers, Vec::new())),
                Piece::Bytes(bytes) => parts.last_mut().ok_or("bytes before a part")?.1.extend_from_slice(bytes),
                Piece::Ends => {}
            }
            Ok(())
        })?;
    }
    multipart.finish().map(|()| parts)
}

fn body(contents: &[&[u8]]) -> Vec<u8> {
    let mut body = b"preamble".to_vec();
    for content in contents {
        body.extend_from_slice(b"\r\n--b:1 \r\nContent-ID:\r\n <x@y>\r\nX: 1\r\n\r\n");
        body.extend_from_slice(content);
    }
    body.extend_from_slice(b"\r\n--b:1--\r\nepilogue");
    body
}

#[test]
fn parameters_are_found_quoted_or_not() {
    let value = "multipart/related; type=\"a/b\"; boundary=\"uuid:1;2\"; start=<r@x> ; start-info=\"text/xml\"";
    assert_eq!(parameter(value, "boundary").as_deref(), Some("uuid:1;2"));
    assert_eq!(parameter(value, "START").as_deref(), Some("<r@x>"));
    assert_eq!(parameter("multipart/related;boundary=abc", "boundary").as_deref(), Some("abc"));
    assert_eq!(parameter("multipart/related; odd; boundary=abc", "boundary").as_deref(), Some("abc"));
    for none in ["multipart/related", "multipart/related; boundary", "x; y=\"z"] {
        assert_eq!(parameter(none, "boundary"), None);
    }
}

#[test]
fn a_body_without_its_end_is_cut() {
    let whole = body(&[b"a", b"bc"]);
    let end = whole.len() - b"--\r\nepilogue".len();
    for cut in 0..end {
        assert!(parts(&whole[..cut], 7).is_err(), "cut at {cut}");
    }
    assert!(parts(b"no boundary at all", 3).is_err());
}

#[test]
fn lines_may_end_with_a_mere_line_feed() {
    let text = String::from_utf8(body(&[b"a\r", b"", b"b\n\nc"])).unwrap().replace("\r\n", "\n");
    for pieces in 1..60 {
        let found = parts(text.as_bytes(), pieces).unwrap();
        let bytes: Vec<&[u8]> = found.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        assert_eq!(bytes, [b"a\r".as_slice(), b"", b"b\n\nc"]);
        assert_eq!(found[0].0[0], ("content-id".to_owned(), "<x@y>".to_owned()));
    }
    // Where lines end as they should, a mere line feed ends none.
    let found = parts(&body(&[b"a\n--b:1\nb"]), 9).unwrap();
    assert_eq!(found[0].1, b"a\n--b:1\nb");
}

#[test]
fn nothing_is_held_without_end_or_searched_again_and_again() {
    let read = |start: &[u8], byte: u8| {
        let mut multipart = Multipart::new("b:1").unwrap();
        multipart.feed(start, |_| Ok(())).unwrap();
        let mut most = 0;
        for _ in 0..200_000 {
            if let Err(error) = multipart.feed(&[byte], |_| Ok(())) {
                return (error, most);
            }
            most = most.max(multipart.held.len());
        }
        panic!("it takes anything");
    };
    for (start, byte, told, largest) in [
        (b"x".as_slice(), b'x', "does not begin", 16),
        (b"\r\n--b:1", b' ', "has no end", HEADERS + 1),
        (b"\r\n--b:1\r\n", b'x', "headers without end", HEADERS + 1),
        (b"\r\n--b:1\r\n\r\n\r\n--b:1--", b'x', "behind its end", 0),
    ] {
        let (error, most) = read(start, byte);
        assert!(error.contains(told) && most <= largest, "{error}: {most}");
    }
}

proptest! {
    #[test]
    fn parts_come_whole_however_the_body_is_cut(
        contents in proptest::collection::vec(proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'-'), Just(b'b'), any::<u8>()], 0..60), 1..4),
        pieces in 1usize..90,
    ) {
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        prop_assume!(contents.iter().all(|it| find(it, b"\r\n--b:1").is_none() && !it.starts_with(b"--b:1")));
        let found = parts(&body(&contents), pieces).unwrap();
        let bytes: Vec<&[u8]> = found.iter().map(|(_, bytes)| bytes.as_slice()).collect();
        prop_assert_eq!(bytes, contents);
        prop_assert_eq!(&found[0].0[0], &("content-id".to_owned(), "<x@y>".to_owned()));
    }
}
