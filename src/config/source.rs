//! Where configuration comes from: the main file, the files of `conf.d` beside it, the environment.

use std::path::{Path, PathBuf};

use super::finding::{Fault, Finding, Place, Weight};
use super::fragment::{self, Fragment, Leaf};
use super::keys::{LISTS, SECTIONS, Section};
use super::unknown;

/// What the names of our environment variables start with.
const PREFIX: &str = "VAGUEMESTRE__";

/// The files that count for the main file `main`: it, then those of `conf.d` in name order.
pub(super) fn files(main: &Path, findings: &mut Vec<Finding>) -> Vec<PathBuf> {
    let folder = fragment::folder_of(main).join("conf.d");
    let mut files = match files_in(&folder) {
        Ok(files) => files,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let fault = Fault::new(format!("cannot be read: {error}"), "let the daemon's user read the folder");
            findings.push(fault.at(Weight::Error, place(&folder)));
            Vec::new()
        }
    };
    files.sort();
    files.insert(0, main.to_owned());
    files
}

fn files_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let paths = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let counts = |path: &PathBuf| {
        // Hidden files are what editors and package managers leave behind.
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        !hidden && path.extension().is_some_and(|extension| extension == "toml")
    };
    paths.filter(|path| path.as_ref().map_or(true, counts)).collect()
}

/// Reads one file; one that cannot be read is empty, and a finding.
pub(super) fn file(file: &Path, findings: &mut Vec<Finding>) -> Fragment {
    match std::fs::read(file).map(String::from_utf8) {
        Ok(Ok(text)) => fragment::read(file, text.strip_prefix('\u{feff}').unwrap_or(&text), findings),
        Ok(Err(_)) => {
            let fault = Fault::new("not UTF-8 text", "save it in UTF-8");
            findings.push(fault.at(Weight::Error, place(file)));
            Fragment::default()
        }
        Err(error) => {
            let remedy = match error.kind() {
                std::io::ErrorKind::NotFound => "create it, or name another one with --config or VAGUEMESTRE_CONFIG",
                _ => "let the daemon's user read it",
            };
            findings.push(Fault::new(format!("cannot be read: {error}"), remedy).at(Weight::Error, place(file)));
            Fragment::default()
        }
    }
}

fn place(path: &Path) -> Place {
    Place { file: Some(path.to_owned()), ..Place::default() }
}

/// Reads the environment; relative paths in it start from `folder`.
pub(super) fn environment(
    variables: impl Iterator<Item = (String, String)>,
    folder: &Path,
    findings: &mut Vec<Finding>,
) -> Vec<Leaf> {
    let mut ours: Vec<(String, String)> = variables.filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    let mut leaves = Vec::new();
    for (name, text) in ours {
        let place = Place { key: name.escape_debug().to_string(), ..Place::default() };
        match variable(&name, &text, folder) {
            Ok((path, value)) => leaves.push(Leaf { path, value, place }),
            Err(fault) => findings.push(fault.at(Weight::Error, place)),
        }
    }
    leaves
}

fn variable(name: &str, text: &str, folder: &Path) -> Result<(String, toml::Value), Fault> {
    for section in SECTIONS {
        if let Some(key) = section.keys.iter().find(|key| variable_name(section, key.name) == name) {
            let value = key.shape.check(&key.shape.value_of(text), folder)?;
            return Ok((format!("{}.{}", section.name, key.name), value));
        }
        if let Some(list) = section.lists.iter().find(|list| name.starts_with(&variable_name(section, list.name))) {
            let remedy = format!("write [[{}.{}]] in a file of conf.d", section.name, list.name);
            return Err(Fault::new("the environment cannot set arrays of tables", remedy));
        }
    }
    if let Some(list) =
        LISTS.iter().find(|list| name.starts_with(&format!("{PREFIX}{}", list.name.to_ascii_uppercase())))
    {
        let remedy = format!("write [[{}]] in a file of conf.d", list.name);
        return Err(Fault::new("the environment cannot set arrays of tables", remedy));
    }
    let known: Vec<String> =
        SECTIONS.iter().flat_map(|section| section.keys.iter().map(|key| variable_name(section, key.name))).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let remedy = match unknown::nearest(name, &known) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("unset it; variables are named {PREFIX}SECTION__KEY"),
    };
    Err(Fault::new("unknown variable", remedy))
}

fn variable_name(section: &Section, key: &str) -> String {
    format!("{PREFIX}{}__{}", section.name.to_ascii_uppercase(), key.to_ascii_uppercase())
}
