//! The configuration: no text breaks its reading, every finding is a line, and what is rendered reads back.
//!
//! The input: the main file; behind each line `#--- file` a file of `conf.d`, behind `#--- environment` variables, a line each.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use vaguemestre::config::{self, Weight};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = vaguemestre_fuzz::folder("config");
    fs::create_dir_all(folder.join("conf.d")).expect("a folder");
    folder
});

fuzz_target!(|bytes: &[u8]| {
    let (mut main, mut files, mut environment): (&[u8], Vec<&[u8]>, Vec<(String, String)>) =
        (bytes, Vec::new(), Vec::new());
    for (number, part) in parts(bytes).into_iter().enumerate() {
        if number == 0 {
            main = part;
        } else if let Some(rest) = part.strip_prefix(b" environment\n") {
            let text = String::from_utf8_lossy(rest).into_owned();
            environment =
                text.lines().filter_map(|line| line.split_once('=')).map(|(a, b)| (a.into(), b.into())).collect();
        } else if files.len() < 3 {
            files.push(part.strip_prefix(b" file\n").unwrap_or(part));
        }
    }
    let main_file = write(&FOLDER, "main.toml", Some(main));
    for number in 0..3 {
        write(&FOLDER, &format!("conf.d/{number}.toml"), files.get(number).copied());
    }
    let loaded = config::load(&main_file, environment.into_iter());
    assert!(
        loaded.findings.iter().all(|finding| vaguemestre_fuzz::is_line(&finding.to_string())),
        "{:?}",
        loaded.findings
    );
    assert!(loaded.findings.is_sorted_by_key(|finding| finding.weight));
    let errors = loaded.findings.iter().filter(|finding| finding.weight == Weight::Error).count();
    assert_eq!(loaded.settings.is_none(), errors > 0, "{:?}", loaded.findings);
    let Some(settings) = loaded.settings else { return };
    let rendered = config::render(&settings);
    let elsewhere = write(&FOLDER, "rendered/main.toml", Some(rendered.as_bytes()));
    let again = config::load(&elsewhere, std::iter::empty());
    let Some(settings) = again.settings else { panic!("does not read back: {:?}\n{rendered}", again.findings) };
    assert_eq!(config::render(&settings), rendered);
});

fn parts(bytes: &[u8]) -> Vec<&[u8]> {
    let (mut parts, mut rest) = (Vec::new(), bytes);
    while let Some(at) = rest.windows(6).position(|window| window == b"\n#--- ".as_slice()) {
        parts.push(&rest[..=at]);
        rest = &rest[at + 5..];
    }
    parts.push(rest);
    parts
}

fn write(folder: &Path, name: &str, text: Option<&[u8]>) -> PathBuf {
    let path = folder.join(name);
    match text {
        Some(text) => {
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(&path, text).expect("a file");
        }
        None => drop(fs::remove_file(&path)),
    }
    path
}
