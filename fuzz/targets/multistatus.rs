//! The answer to a PROPFIND, and where its entries lie.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vaguemestre::fuzzing::webdav;

fuzz_target!(|bytes: &[u8]| {
    let (read, memory) = vaguemestre_fuzz::memory(|| webdav::multistatus(bytes));
    assert!(memory < (1 << 20) + 64 * bytes.len(), "{memory} bytes for {}", bytes.len());
    for entry in read.iter().flatten() {
        assert!(entry.href.len() <= 8_192);
        assert!(entry.status.is_none_or(|status| (100..600).contains(&status)));
        if let Some(etag) = &entry.etag {
            assert_eq!(webdav::etag(etag).map(|(header, _)| header).as_ref(), Some(etag));
            assert!(vaguemestre_fuzz::is_line(etag), "a header cannot hold {etag:?}");
        }
        if let Ok(Some((name, encoded))) = webdav::child("/out/PES", &entry.href) {
            assert!(
                !name.trim_end_matches('/').contains('/') && !encoded.contains('/') && name != ".." && encoded != ".."
            );
        }
    }
});
