//! Documents too large to hold: made while they are read.

use super::*;

/// `prefix`, then `filling` over and over, then `suffix`: `size` bytes in all.
struct Made {
    prefix: Vec<u8>,
    filling: Vec<u8>,
    suffix: Vec<u8>,
    size: u64,
    at: u64,
}

impl Made {
    fn new(prefix: &str, filling: &str, times: u64, suffix: &str) -> Self {
        let size = (prefix.len() + suffix.len()) as u64 + filling.len() as u64 * times;
        // A longer filling, so that a read is not a thousand copies.
        let (filling, prefix, suffix) = (filling.repeat(1024), prefix.into(), suffix.into());
        Self { prefix, filling: filling.into(), suffix, size, at: 0 }
    }

    /// What stands at the place of reading, as far as it is in one piece.
    fn here(&self) -> &[u8] {
        let suffix_at = self.size - self.suffix.len() as u64;
        let prefix = self.prefix.len() as u64;
        if self.at < prefix {
            &self.prefix[usize::try_from(self.at).unwrap()..]
        } else if self.at < suffix_at {
            let start = usize::try_from((self.at - prefix) % self.filling.len() as u64).unwrap();
            let left = usize::try_from(suffix_at - self.at).unwrap();
            &self.filling[start..self.filling.len().min(start + left)]
        } else {
            &self.suffix[usize::try_from(self.at - suffix_at).unwrap()..]
        }
    }
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.here().read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Made {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.at = at.min(self.size);
        Ok(self.at)
    }
}

const MIB: u64 = 1024 * 1024;
/// Said to the test's own process that it is alone there.
const ALONE: &str = "VAGUEMESTRE_TEST_ALONE";

/// The most memory this process ever had, in KiB.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().trim_end_matches("kB").trim().parse().ok()
}

fn judge_made(prefix: &str, filling: &str, mib: u64, suffix: &str) -> Result<MediaType, NotAReturn> {
    let made = Made::new(prefix, filling, mib * MIB / filling.len() as u64, suffix);
    let size = made.size;
    judge(made, size).unwrap()
}

#[test]
fn documents_of_any_size_are_judged_in_little_memory() {
    if std::env::var_os(ALONE).is_none() {
        let name = "content::tests::large::documents_of_any_size_are_judged_in_little_memory";
        let alone = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(ALONE, "1")
            .output()
            .unwrap();
        assert!(
            alone.status.success(),
            "{}{}",
            String::from_utf8_lossy(&alone.stdout),
            String::from_utf8_lossy(&alone.stderr)
        );
        return;
    }
    let line = format!("{}\n", "TWFpcmll".repeat(8));
    let cases = [
        ("<a><![CDATA[", "<x>&]] ", "]]></a>", Ok(MediaType::Xml)),
        ("<a><!--", "<b> & - ", "--></a>", Ok(MediaType::Xml)),
        ("<a><?b ", "c?d ?ef ", "?></a>", Ok(MediaType::Xml)),
        ("<a>", "&quot;", "</a>", Ok(MediaType::Xml)),
        ("<a>", "<b c=''/>", "</a>", Ok(MediaType::Xml)),
        ("<a b='", "c", "'/>", Err("excessive")),
        ("<a", " b='c'", "/>", Err("excessive")),
        ("<", "a", "/>", Err("excessive")),
        ("<a></", "a", "></a>", Err("excessive")),
        ("<a>&#", "0", "65;</a>", Ok(MediaType::Xml)),
        ("<?xml version='1.", "0", "'?><a/>", Err("not_well_formed")),
        ("", " ", "<a/>", Ok(MediaType::Xml)),
        ("", "\0", "", Err("not_well_formed")),
        ("{", "{\"a\":", "", Err("json")),
        // A page behind megabytes of comment is not sought: its unclosed element tells.
        ("<!--", " ", "--><html>", Err("not_well_formed")),
    ];
    // The code itself comes into memory by pages, as it is first used: that is not what is measured.
    for (prefix, filling, suffix, _) in &cases {
        drop(judge_made(prefix, filling, 1, suffix));
    }
    let before = peak_kib();
    assert_eq!(judge_made("<a><b>", &line, 64, "</b></a>"), Ok(MediaType::Xml));
    for (prefix, filling, suffix, kind) in cases {
        let verdict = judge_made(prefix, filling, 4, suffix).map_err(|refusal| refusal.kind());
        assert_eq!(verdict, kind, "{prefix}{filling}…{suffix}");
    }
    // The buffers' own bound; the allocator's rounding is in it.
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after - before < 4 * 1024, "{} KiB more", after - before);
    }
}

#[test]
fn what_is_made_is_what_was_asked_for() {
    let mut made = Made::new("<a>", "bc", 2000, "</a>");
    let mut bytes = Vec::new();
    made.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, format!("<a>{}</a>", "bc".repeat(2000)).into_bytes());
}
