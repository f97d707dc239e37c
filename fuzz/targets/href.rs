//! Where an entry of a folder lies, its entity tag, its dates: none leads out of its folder, each reads back, and no two
//! names are one.
//!
//! The input: two hrefs, an entity tag and a date, a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vaguemestre::fuzzing::webdav;
use vaguemestre::http::http_date;

const BASES: [&str; 2] = ["/partage/webdav/clients/213400172/out/PES", "/a%20b/"];

fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let (first, second) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let (tag, date) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    for base in BASES {
        let found = [first, second].map(|href| check(base, href));
        if let [Some((one, there)), Some((other, elsewhere))] = found {
            assert_eq!(one == other, there == elsewhere, "{one:?} at {there}, {other:?} at {elsewhere}");
        }
    }
    if let Some((header, weak)) = webdav::etag(tag) {
        assert_eq!(webdav::etag(&header), Some((header.clone(), weak)));
        assert!(vaguemestre_fuzz::is_line(&header));
    }
    let _ = http_date(date);
});

fn check(base: &str, href: &str) -> Option<(String, String)> {
    let (name, encoded) = webdav::child(base, href).ok()??;
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    assert!(!encoded.is_empty() && encoded.bytes().all(harmless) && !matches!(&*encoded, "." | ".."), "{encoded}");
    // The slash behind a name that is no UTF-8 is ours.
    let bare = name.strip_suffix('/').unwrap_or(&name);
    assert!(vaguemestre_fuzz::is_line(bare) && !bare.contains('/') && !matches!(bare, "" | "." | ".."), "{name:?}");
    let again = webdav::child(base, &format!("{}/{encoded}", base.trim_end_matches('/')));
    assert_eq!(again, Ok(Some((name.clone(), encoded.clone()))));
    Some((name, encoded))
}
