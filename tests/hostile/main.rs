//! Hostile content: names that want to be paths, hide or turn around, in every place where names come from outside; XML that
//! wants to be unpacked, JSON without end or bottom. Paths stay below their folders, screens show what is there, memory is
//! bounded, and the rest goes on.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]

#[path = "../common/mod.rs"]
mod common;
mod memory;

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};
use std::sync::Arc;

use common::shares;
use common::wire::{Step, Wire, answer};
use common::{Daemon, SIREN, Town, files, sample};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::Gateway;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::oauth::Tokens;
use vaguemestre::simulator::samples;
use vaguemestre::words::is_hidden;

/// Names that a file, a folder or a return may claim, legal as one segment of a path.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "...",
        ".hidden",
        ".vaguemestre",
        "~",
        "-rf",
        "--help",
        "$(reboot)",
        "`reboot`",
        "a;b|c&d",
        "'; DROP TABLE documents; --",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..\\..\\windows",
        "C:evil",
        "CON",
        "aux.xml",
        "nul.txt",
        "COM1",
        "name.",
        "name ",
        " name",
        "a b",
        "a\u{a0}b",
        "été",
        "e\u{301}te\u{301}",
        "漢字",
        "عربى",
        "\u{202e}lmx.tcca",
        "a\u{2066}b\u{2069}",
        "\u{200f}rtl\u{200e}",
        "zero\u{200b}width",
        "\u{feff}bom",
        "line\u{2028}separator",
        "tag\u{e0041}",
        "=cmd|' -C calc'!A0",
        "+1",
        "@SUM(A1)",
        "\"quoted\"",
        "<b>&amp;",
        "{path}",
        "%s%n%x",
        "\u{fffd}",
        "\u{10ffff}",
        "1.xml",
        "320073963",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(255));
    names.push("y".repeat(4096));
    names.push("é".repeat(500));
    names
}

/// Names that no file can have.
fn impossible() -> Vec<String> {
    let mut names = [".", "..", "a\0b", "a\nb", "a\rb", "\u{1b}[2J", "\u{85}"].map(str::to_owned).to_vec();
    names.push("é".repeat(4096));
    names
}

/// Every file below `root` has a harmless path: letters, digits, `.`, `_`, `-`, `~`, no longer than file systems take.
fn assert_harmless(root: &Path) -> usize {
    let found = files(root);
    for path in &found {
        for part in path.components() {
            let Component::Normal(part) = part else { panic!("{path:?}") };
            let part = part.to_str().unwrap();
            let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '~');
            assert!(part.len() <= 255 && part.chars().all(harmless) && !part.starts_with('.'), "{path:?}");
        }
    }
    found.len()
}

/// Nothing but line ends and what can be seen.
fn assert_legible(text: &str, place: &str) {
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        assert!(!line.contains(is_hidden), "{place}: {line:?}");
    }
}

/// What all commands that tell of documents say, and the log.
async fn assert_all_is_legible(town: &Town, daemon: &Daemon) {
    let commands: [&[&str]; 8] = [
        &["documents"],
        &["documents", "--csv"],
        &["documents", "--json"],
        &["status"],
        &["status", "--json"],
        &["plan"],
        &["check"],
        &["-vv", "documents", "--state", "listed"],
    ];
    for arguments in commands {
        let said = town.say(arguments).await;
        assert_legible(&said.out, &format!("{arguments:?}"));
        assert_legible(&said.err, &format!("{arguments:?}"));
    }
    for row in town.query("SELECT remote_id FROM documents ORDER BY id LIMIT 60").await {
        for form in [&["show", "--", &row[0]][..], &["show", "--json", "--", &row[0]]] {
            let said = town.say(form).await;
            assert_eq!(said.code, 0, "{said:?}");
            assert_legible(&said.out, "show");
            assert_legible(&said.err, "show");
        }
    }
    for line in daemon.log() {
        assert_legible(&line.to_string(), "the log");
        assert!(line.is_object(), "one event, one line: {line}");
    }
}

#[tokio::test]
async fn names_of_files_circuits_and_labels_are_data_and_never_paths() {
    let town = shares::town("feeds = [\"acquittements\"]", "").await;
    let mut kept = HashMap::new();
    for (number, name) in (1..).zip(names()) {
        let mut paths = vec![format!("PES/{name}"), format!("PES/TesoT/{name}")];
        // A file and a folder of one name cannot be; nor can folders whose names no path holds twice.
        paths.extend((name.len() <= 255 && name != "PES").then(|| format!("{name}/{name}/{name}")));
        for path in paths {
            let bytes = sample(Kind::Acquittements, number * 1000 + kept.len() as u64, 700);
            town.platform.put_file(SIREN, &path, bytes.clone());
            kept.insert(path, bytes);
        }
    }
    for name in impossible() {
        town.platform.put_file(SIREN, &format!("PES/{name}"), sample(Kind::Acquittements, 1, 700));
    }
    let text = std::fs::read_to_string(town.config()).unwrap();
    std::fs::write(town.config(), text.replace("interval = \"1ms\"", "interval = \"1s\"")).unwrap();
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) >= 2 FROM polls WHERE outcome = 'ok'", "1").await;
    town.wait_value("SELECT count(*) FROM documents WHERE state <> 'delivered'", "0").await;
    assert_eq!(assert_harmless(&town.state().join("archive")), town.inbox_files().len());
    assert_harmless(&town.inbox());
    let found: HashSet<Vec<u8>> =
        town.inbox_files().iter().map(|path| std::fs::read(town.inbox().join(path)).unwrap()).collect();
    let missing: Vec<_> = kept.iter().filter(|(_, bytes)| !found.contains(*bytes)).map(|(path, _)| path).collect();
    assert!(missing.is_empty(), "{missing:?}");
    // What cannot be taken is told, and left there.
    let refused = town.value("SELECT refused_entries FROM feeds").await.parse::<usize>().unwrap();
    assert_eq!(refused, impossible().len(), "{:?}", town.platform.files(SIREN));
    assert_eq!(town.platform.files(SIREN).len(), impossible().len());
    assert_all_is_legible(&town, &daemon).await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn names_that_returns_give_themselves_are_data_and_never_paths() {
    let town = Town::with_interval("30m").await;
    let mut expected = 0;
    for (number, name) in (1..).zip(names().into_iter().chain(impossible())) {
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;");
        if name.contains(['\0', '\u{1b}']) {
            continue;
        }
        expected += 1;
        let honest = samples::acquittement(number, "NAME-HERE", samples::Verdict::Accepted, 700);
        let text = honest.iter().map(|&byte| char::from(byte)).collect::<String>();
        let text = text.replace("ISO-8859-1", "UTF-8").replace("NAME-HERE", &escaped);
        town.platform.put(SIREN, Kind::Acquittements, number, text);
    }
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE state = 'delivered'", &expected.to_string()).await;
    assert_eq!(assert_harmless(&town.inbox()), expected);
    assert_eq!(assert_harmless(&town.state().join("archive")), expected);
    assert_all_is_legible(&town, &daemon).await;
    assert!(daemon.stop().await.success());
}

#[tokio::test]
async fn xml_that_wants_more_than_to_be_read_is_set_aside_and_the_rest_goes_on() {
    let town = Town::with_interval("30m").await;
    let pes = |inner: &str| format!("<?xml version=\"1.0\"?><PES>{inner}</PES>").into_bytes();
    let utf16 = |text: &str| -> Vec<u8> {
        [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
    };
    let hostile: Vec<(&str, Vec<u8>)> = vec![
        (
            "entities that multiply",
            b"<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><l>&b;</l>".to_vec(),
        ),
        ("an entity of a file", b"<!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><x>&f;</x>".to_vec()),
        ("an entity of elsewhere", b"<!DOCTYPE x SYSTEM \"http://localhost/x.dtd\"><x/>".to_vec()),
        ("a parameter entity", b"<!DOCTYPE x [<!ENTITY % p SYSTEM \"http://localhost/\"> %p;]><x/>".to_vec()),
        ("a document type in UTF-16", utf16("<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>")),
        ("an entity that nobody declared", pes("&lol;")),
        ("depth", pes(&("<a>".repeat(100_000) + &"</a>".repeat(100_000)))),
        ("depth without an end", pes(&"<a>".repeat(300_000))),
        ("a reference to NUL", pes("&#0;")),
        ("a reference beyond all characters", pes("&#x110000;")),
        ("a reference without end", pes(&format!("&#{};", "1".repeat(100_000)))),
        ("a NUL", pes("a\0b")),
        (
            "bytes of no encoding",
            [b"<?xml version=\"1.0\" encoding=\"UTF-8\"?><PES>".as_slice(), &[0xff, 0xfe, 0xc0, 0x80], b"</PES>"]
                .concat(),
        ),
        ("an encoding that does not exist", b"<?xml version=\"1.0\" encoding=\"x-evil\"?><PES/>".to_vec()),
        ("a wrong mark of order", [&[0xff, 0xfe][..], b"<PES/>"].concat()),
        ("an attribute twice", b"<PES a=\"1\" a=\"2\"/>".to_vec()),
        ("two roots", b"<PES/><PES/>".to_vec()),
        ("an end that is missing", b"<PES><a></PES>".to_vec()),
        ("a page", b"<html><body>\xe2\x80\xaelogin</body></html>".to_vec()),
    ];
    let harmless: Vec<(&str, Vec<u8>)> = vec![
        ("an attribute of a megabyte", pes(&format!("<a b=\"{}\"/>", "x".repeat(1 << 20)))),
        ("ten thousand attributes", {
            let attributes: String = (0..10_000).map(|n| format!(" a{n}=\"\"")).collect();
            pes(&format!("<a{attributes}/>"))
        }),
        ("a name of a megabyte", pes(&format!("<{0}></{0}>", "n".repeat(1 << 20)))),
        ("a comment of a megabyte", pes(&format!("<!--{}-->", "c".repeat(1 << 20)))),
        (
            "Latin-1",
            [b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><PES>".as_slice(), &[0xe9, 0x80], b"</PES>"].concat(),
        ),
    ];
    for (number, (_, bytes)) in (1..).zip(hostile.iter().chain(&harmless)) {
        town.platform.put(SIREN, Kind::Acquittements, number, bytes.clone());
    }
    town.put_many(Kind::Chorus, 500, 20, 1000);
    let daemon = town.start().await;
    town.wait_value("SELECT count(*) FROM documents WHERE feed LIKE '%chorus' AND state = 'delivered'", "20").await;
    let all = hostile.len() + harmless.len();
    let settled =
        "SELECT count(*) FROM documents WHERE feed LIKE '%acq%' AND state IN ('failed', 'stored', 'delivered')";
    town.wait_value(settled, &all.to_string()).await;
    for (number, (name, bytes)) in (1..).zip(&hostile) {
        let row = town.about(number, "state, quarantine_path").await;
        let (state, path) = row.split_once(' ').unwrap();
        assert_eq!(state, "failed", "{name}: {}", town.about(number, "error").await);
        assert_eq!(&std::fs::read(town.state().join(path)).unwrap(), bytes, "{name} is set aside as it came");
    }
    // What is odd and well-formed may be kept or set aside, and must not stand in the way: judged above.
    assert!(peak(&daemon) < 64 << 20, "{} MiB", peak(&daemon) >> 20);
    assert_all_is_legible(&town, &daemon).await;
    assert!(daemon.stop().await.success());
}

/// The most memory that a process has used so far, in bytes.
fn peak(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}
