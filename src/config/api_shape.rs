//! What values may be that only the HTTP APIs know: paths, pointers, numbers of establishments, subjects.

use std::path::Path;

use toml::Value;

use super::finding::quoted;
use super::shape::{path as file_path, type_name};

/// Placeholders of a watch's path.
pub(super) const PLACEHOLDERS: [&str; 3] = ["{siren}", "{siret}", "{id}"];
/// Parameters that the account and the watch set, and never the query.
const RESERVED: [&str; 4] = ["context", "recipient", "object", "token"];
/// The longest `object` (the API takes under fifty characters).
const OBJECT: usize = 49;
/// La Poste's SIREN, whose establishments have no check digit: their digits add up to a multiple of five.
const LA_POSTE: &str = "356000000";

/// A path below an API's address, with exactly one of `placeholders` in it, if there are any.
pub(super) fn api_path(text: &str, placeholders: &[&str]) -> Result<String, &'static str> {
    if !text.starts_with('/') || text.starts_with("//") {
        return Err("is not a path that starts with one `/`");
    }
    if text.contains(['#', '\\', ' ', '"', '<', '>']) || text.chars().any(char::is_control) || !text.is_ascii() {
        return Err("holds characters that no address may have");
    }
    let before_query = text.split('?').next().unwrap_or_default();
    if before_query.split('/').any(|part| part == ".." || part == ".") {
        return Err("leads upwards");
    }
    let found: usize = placeholders.iter().map(|placeholder| text.matches(placeholder).count()).sum();
    let plain = placeholders.iter().fold(text.to_owned(), |text, placeholder| text.replace(placeholder, ""));
    match found {
        _ if plain.contains(['{', '}']) => Err("holds a placeholder that is not known here"),
        1 => Ok(text.to_owned()),
        0 if placeholders.is_empty() => Ok(text.to_owned()),
        _ => Err("must hold one placeholder, once"),
    }
}

/// A JSON pointer (RFC 6901, §3).
pub(super) fn pointer(text: &str) -> Result<String, &'static str> {
    let whole = text.is_empty() || text.starts_with('/');
    let escapes = text.match_indices('~').all(|(at, _)| matches!(text.as_bytes().get(at + 1), Some(b'0' | b'1')));
    if whole && escapes { Ok(text.to_owned()) } else { Err("is not a JSON pointer") }
}

/// What a call is for.
pub(super) fn object(text: &str) -> Result<String, &'static str> {
    match text.chars().count() {
        _ if text.trim().is_empty() => Err("is empty"),
        _ if text.chars().any(char::is_control) => Err("holds characters that cannot be shown on one line"),
        length if length > OBJECT => Err("has fifty characters or more, which the platform refuses"),
        _ => Ok(text.to_owned()),
    }
}

/// A SIRET with a right check digit.
pub(super) fn siret(text: &str) -> Result<String, &'static str> {
    if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a SIRET: it has fourteen digits");
    }
    let sum: u32 = text.bytes().map(|byte| u32::from(byte - b'0')).sum();
    let right = passes_luhn(text) || (text.starts_with(LA_POSTE) && sum.is_multiple_of(5));
    if right { Ok(text.to_owned()) } else { Err("is not a SIRET: its check digit is wrong") }
}

/// A SIREN with a right check digit.
pub(super) fn siren(text: &str) -> Result<String, &'static str> {
    if text.len() != 9 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("is not a SIREN: it has nine digits");
    }
    if passes_luhn(text) { Ok(text.to_owned()) } else { Err("is not a SIREN: its check digit is wrong") }
}

/// Whether the last digit is the check digit of the others.
pub(super) fn passes_luhn(digits: &str) -> bool {
    let double = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let digits = digits.chars().rev().filter_map(|c| c.to_digit(10)).enumerate();
    digits.map(|(index, digit)| if index % 2 == 1 { double(digit) } else { digit }).sum::<u32>() % 10 == 0
}

/// `{ id = "/id", path = "/…/{id}" }`.
pub(super) fn items(value: &Value) -> Result<Value, String> {
    let table = value.as_table().ok_or_else(|| format!("this is {}, not a table", type_name(value)))?;
    if let Some(unknown) = table.keys().find(|key| *key != "id" && *key != "path") {
        return Err(format!("{} is not known in it: it has `id` and `path`", quoted(unknown)));
    }
    let text = |key: &str| table.get(key).and_then(Value::as_str).ok_or_else(|| format!("`{key}` must be a text"));
    let (id, path) = (text("id")?, text("path")?);
    let id = pointer(id).map_err(|fault| format!("`id` {} {fault}", quoted(id)))?;
    let path = api_path(path, &["{id}"]).map_err(|fault| format!("`path` {} {fault}", quoted(path)))?;
    Ok(Value::Table([("id".to_owned(), id.into()), ("path".to_owned(), path.into())].into_iter().collect()))
}

/// A list of texts, or `{ file = "…" }`; the texts themselves are judged with the watch's path.
pub(super) fn subjects(value: &Value, folder: &Path) -> Result<Value, String> {
    match value {
        Value::Array(items) if items.iter().all(Value::is_str) => Ok(value.clone()),
        Value::Array(_) => Err("the list holds something that is not a text".to_owned()),
        Value::Table(table) => match (table.len(), table.get("file").and_then(Value::as_str)) {
            (1, Some(file)) => {
                let file = file_path(file, folder).map_err(|fault| format!("`file` {fault}"))?;
                Ok(Value::Table(std::iter::once(("file".to_owned(), file.into())).collect()))
            }
            _ => Err("this table does not name one `file`".to_owned()),
        },
        other => Err(format!("this is {}, neither a list nor a file", type_name(other))),
    }
}

/// A table of texts.
pub(super) fn query(value: &Value) -> Result<Value, String> {
    let table = value.as_table().ok_or_else(|| format!("this is {}, not a table of texts", type_name(value)))?;
    if let Some(key) = table.keys().find(|key| RESERVED.contains(&key.to_lowercase().as_str())) {
        return Err(format!("`{key}` is set by the account or the watch, never here"));
    }
    match table.iter().find(|(_, value)| !value.is_str()) {
        Some((key, _)) => Err(format!("`{key}` is not a text")),
        None => Ok(value.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_luhn_s_and_la_poste_has_its_own_rule() {
        assert!(siren("552032534").is_ok() && siren("732829320").is_ok());
        assert!(siren("552032543").is_err() && siren("55203253").is_err() && siren("55203253x").is_err());
        assert!(siret("55203253400646").is_ok() && siret("55203253400647").is_err());
        assert!(siret("35600000000048").is_ok() && siret("35600000049837").is_ok());
        assert!(siret("35600000049838").is_err());
    }

    #[test]
    fn paths_stay_below_the_address_they_are_given_to() {
        let bare = |text| api_path(text, &[]);
        assert!(bare("/a/b?c=d").is_ok());
        for wrong in ["a", "//host/a", "/a/../b", "/a b", "/a#b", "https://elsewhere/", "/a/{id}", "/é"] {
            assert!(bare(wrong).is_err(), "{wrong}");
        }
        assert!(api_path("/v3/{siren}/x", &PLACEHOLDERS).is_ok());
        for wrong in ["/v3", "/v3/{siren}/{siret}", "/v3/{siren}/{siren}", "/v3/{nom}"] {
            assert!(api_path(wrong, &PLACEHOLDERS).is_err(), "{wrong}");
        }
    }

    #[test]
    fn pointers_and_objects_are_judged() {
        assert!(pointer("/meta").is_ok() && pointer("").is_ok() && pointer("/a~1b").is_ok());
        assert!(pointer("meta").is_err() && pointer("/a~2").is_err() && pointer("/a~").is_err());
        assert!(object(&"é".repeat(49)).is_ok() && object(&"é".repeat(50)).is_err() && object(" ").is_err());
    }
}
