//! The French examples of a configuration beside the English ones.

use crate::{nothing, read};

/// Every example there is, by its name in `config/` and in `config/fr/`.
fn names() -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("config/conf.d");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = files.map(|name| format!("conf.d/{name}")).collect();
    names.push("vaguemestre.toml".to_owned());
    names.sort();
    names
}

/// The lines that are TOML, commented out or not: what they say, and whether they are in effect.
fn settings(text: &str) -> Vec<String> {
    let is_key = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_setting = |line: &str| {
        let key = line.split_once(" = ").is_some_and(|(name, _)| is_key(name));
        key || (line.starts_with('[') && line.ends_with(']') && !line.contains(' '))
    };
    text.lines().filter(|line| is_setting(line.strip_prefix("# ").unwrap_or(line))).map(str::to_owned).collect()
}

#[test]
fn the_french_examples_set_the_same_keys_to_the_same_values_in_the_same_order() {
    let mut amiss = Vec::new();
    for name in names() {
        let (english, french) = (format!("config/{name}"), format!("config/fr/{name}"));
        let (wanted, found) = (settings(&read(&english)), settings(&read(&french)));
        assert!(wanted.len() > 3, "{english}: is read");
        if let Some(at) = (0..wanted.len().max(found.len())).find(|at| wanted.get(*at) != found.get(*at)) {
            let word = |lines: &[String]| lines.get(at).map_or("nothing more".to_owned(), |line| format!("`{line}`"));
            amiss.push(format!("{french}: has {} where {english} has {}", word(&found), word(&wanted)));
        }
    }
    nothing(&amiss);
}

#[test]
fn without_comments_both_are_the_same_toml() {
    for name in names() {
        let parsed = |path: String| -> toml::Table { toml::from_str(&read(&path)).unwrap() };
        assert_eq!(parsed(format!("config/fr/{name}")), parsed(format!("config/{name}")), "config/fr/{name}");
    }
}

#[test]
fn each_option_that_is_explained_in_english_is_explained_in_french() {
    let mut amiss = Vec::new();
    for name in names() {
        let (english, french) = (explained(&format!("config/{name}")), explained(&format!("config/fr/{name}")));
        let missing = english.iter().filter(|(key, prose)| *prose && french.contains(&(key.clone(), false)));
        amiss.extend(missing.map(|(key, _)| format!("config/fr/{name}: `{key}` has no comment above it")));
    }
    nothing(&amiss);
}

/// Each setting, and whether a comment stands right above it.
fn explained(path: &str) -> Vec<(String, bool)> {
    let text = read(path);
    let known = settings(&text);
    let lines: Vec<&str> = text.lines().collect();
    let is_prose = |line: &str| line.starts_with("# ") && !known.iter().any(|setting| setting == line);
    let settings = lines.iter().enumerate().filter(|(_, line)| known.iter().any(|setting| setting == *line));
    settings.map(|(at, line)| ((*line).to_owned(), at > 0 && is_prose(lines[at - 1]))).collect()
}
