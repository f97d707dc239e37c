//! What a value may be: checks one, says what would be right, and gives it its canonical form.

use std::path::Path;
use std::time::Duration;

use toml::Value;

use super::address::{self, Platform};
use super::api_shape;
use super::finding::{Fault, quoted};
use super::noun::{file_mode, listen, percent, rate, size, span, window};
use super::pattern::Patterns;
use super::{alerts, targets};
use crate::feed::is_name;

/// What a value may be.
#[derive(Debug)]
pub(super) enum Shape {
    /// Free text for people.
    Text,
    /// What a platform calls an account: never empty.
    Identifier,
    /// The name of an account or target.
    Name,
    /// Nine digits.
    Siren,
    /// A file or folder, relative to the file that names it.
    Path,
    /// The address of a platform.
    Address,
    /// The address of one service of a platform, kept to its last slash.
    Endpoint,
    /// The address of a proxy.
    Proxy,
    /// A word: one of `now`; those of `later` are for versions to come.
    Word { now: &'static [&'static str], later: &'static [&'static str] },
    /// A list of such words, not empty, none twice.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number between two others.
    Whole(i64, i64),
    /// A length of time between two others.
    Span(Duration, Duration),
    /// A number of bytes, and the least it may be.
    Size(u64),
    /// A list of daily windows.
    Windows,
    /// A daily span of Paris time.
    Hours,
    /// A path below an API's address, with one of these placeholders.
    ApiPath(&'static [&'static str]),
    /// How the items of a list are fetched.
    Items,
    /// A list of JSON pointers.
    Pointers,
    /// A share in percent.
    Percent,
    /// Calls a minute.
    Rate,
    /// Fourteen digits.
    Siret,
    /// What a call is for.
    Object,
    /// Whom a watch asks about.
    Subjects,
    /// A table of texts.
    Query,
    /// A list of hosts.
    Hosts,
    /// A list of names of folders on a platform, none twice.
    Folders,
    /// A list of patterns of feed names, not empty.
    Patterns,
    /// Permissions of files.
    FileMode,
    /// Where a secret is.
    Secret,
    /// A program and its arguments, called for each document.
    Command,
    /// A program and its arguments, called for alerts.
    Notifier,
    /// The address that is told of documents.
    Webhook,
    /// Where a listener listens.
    Listen,
}

/// What a check says: the canonical value, or what is wrong with the given one.
type Checked = Result<Value, String>;

impl Shape {
    /// The canonical form of `value` (two values that mean the same have the same one), found in a file of `folder`.
    pub(super) fn check(&self, value: &Value, folder: &Path) -> Result<Value, Fault> {
        self.read(value, folder).map_err(|what| Fault { what, remedy: self.remedy() })
    }

    /// The value that `text` from the environment, or a built-in default, stands for.
    pub(super) fn value_of(&self, text: &str) -> Value {
        let words = || text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let as_text = || Value::String(text.to_owned());
        match self {
            Self::Whole(..) => text.parse().map_or_else(|_| as_text(), Value::Integer),
            Self::Flag => text.parse().map_or_else(|_| as_text(), Value::Boolean),
            Self::Words(_) | Self::Windows | Self::Hosts | Self::Folders | Self::Patterns | Self::Pointers => {
                Value::Array(words().map(|word| Value::String(word.to_owned())).collect())
            }
            Self::Query => Value::Table(toml::Table::new()),
            _ => as_text(),
        }
    }

    fn read(&self, value: &Value, folder: &Path) -> Checked {
        match self {
            Self::Text => text(value, plain),
            Self::Identifier => text(value, |text| if text.trim().is_empty() { Err("is empty") } else { plain(text) }),
            Self::Name => text(value, |text| keep(text, is_name(text), "cannot be a name")),
            Self::Siren => text(value, |text| keep(text, is_siren(text), "is not a SIREN")),
            Self::Path => text(value, |text| path(text, folder)),
            Self::Address => text(value, |text| Platform::parse(text).map(|platform| platform.base_url)),
            Self::Endpoint => text(value, |text| Platform::parse(text).map(|_| text.to_owned())),
            Self::Proxy => text(value, address::proxy),
            Self::Word { now, later } => text(value, |text| word(text, now, later)),
            Self::Words(now) => filled(list(value, |text| word(text, now, &[]))).and_then(distinct),
            Self::Flag => value.is_bool().then(|| value.clone()).ok_or_else(|| wrong_type(value, "true or false")),
            Self::Whole(from, to) => whole(value, *from, *to),
            Self::Span(from, to) => text(value, |text| bounded(text, *from, *to)),
            Self::Size(from) => text(value, |text| {
                let size = size::parse(text)?;
                if size < *from { Err("is too small") } else { Ok(size::show(size)) }
            }),
            Self::Windows => list(value, window::parse),
            Self::Hours => text(value, window::parse),
            Self::ApiPath(placeholders) => text(value, |text| api_shape::api_path(text, placeholders)),
            Self::Items => api_shape::items(value),
            Self::Pointers => list(value, api_shape::pointer),
            Self::Percent => text(value, |text| percent::parse(text).map(percent::show)),
            Self::Rate => text(value, |text| rate::parse(text).map(rate::show)),
            Self::Siret => text(value, api_shape::siret),
            Self::Object => text(value, api_shape::object),
            Self::Subjects => api_shape::subjects(value, folder),
            Self::Query => api_shape::query(value),
            Self::Hosts => list(value, |text| keep(text, is_host(text), "is not a host")),
            Self::Folders => {
                list(value, |text| keep(text, is_folder(text), "is not the name of a circuit")).and_then(distinct)
            }
            Self::Patterns => filled(list(value, |text| {
                let known = Patterns::parse(vec![text.to_owned()]).is_ok();
                keep(text, known, "is not a pattern of feed names")
            })),
            Self::FileMode => text(value, |text| file_mode::parse(text).map(file_mode::show)),
            Self::Secret => secret(value, folder),
            Self::Command => filled(list(value, targets::argument)).and_then(targets::command),
            Self::Notifier => filled(list(value, alerts::argument)).and_then(targets::command),
            Self::Webhook => text(value, address::hook),
            Self::Listen => text(value, |text| listen::parse(text).map(String::from)),
        }
    }

    /// What would be right.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Text => "write one line of text in quotes".to_owned(),
            Self::Identifier => "write it in quotes, as the platform gave it".to_owned(),
            Self::Name => "write a name of lower-case letters, digits, `.`, `_` and `-`, such as \"mairie\"".to_owned(),
            Self::Siren => "write its nine digits in quotes, such as \"123456789\"".to_owned(),
            Self::Path => "write a path in quotes, such as \"mairie.p12\"".to_owned(),
            Self::Address | Self::Endpoint => address::PLATFORM.to_owned(),
            Self::Proxy => address::PROXY.to_owned(),
            Self::Word { now, .. } => format!("write {}", either(now)),
            Self::Words(now) => format!("write a list of some of {}, each once", either(now)),
            Self::Flag => "write true or false (in a file: without quotes)".to_owned(),
            Self::Whole(from, to) => format!("write a whole number from {from} to {to} (in a file: without quotes)"),
            Self::Span(from, to) => {
                format!("{}, from {} to {}", span::EXAMPLES, span::show(*from), span::show(*to))
            }
            Self::Size(from) => format!("{}, at least {}", size::EXAMPLES, size::show(*from)),
            Self::Windows => format!("{} (Paris time) for each", window::EXAMPLES),
            Self::Hours => format!("{} (Paris time), or \"00:00-24:00\" for always", window::EXAMPLES),
            Self::ApiPath([]) => {
                "write the path as the API's documentation has it, such as \"/example/api\"".to_owned()
            }
            Self::ApiPath(placeholders) => {
                format!("write the path as the API's documentation has it, with {} in it", placeholders.join(" or "))
            }
            Self::Items => "write { id = \"/id\", path = \"/example/api/{id}\" }".to_owned(),
            Self::Pointers => "write a list of JSON pointers, such as [\"/meta\", \"/links\"]".to_owned(),
            Self::Percent => percent::EXAMPLES.to_owned(),
            Self::Rate => rate::EXAMPLES.to_owned(),
            Self::Siret => "write the fourteen digits of whom the answers are for, in quotes".to_owned(),
            Self::Object => "write why the data are asked for, in under fifty characters".to_owned(),
            Self::Subjects => "write { file = \"…\" }, or a list such as [\"552032534\"]".to_owned(),
            Self::Query => "write { name = \"value\" }".to_owned(),
            Self::Hosts => "write a list of hosts, such as [\"intranet.example.fr\", \"10.0.0.0/8\"]".to_owned(),
            Self::Folders => {
                "write a list of circuits as the platform names them, such as [\"PES\"], each once".to_owned()
            }
            Self::Patterns => {
                "write a list of feeds, accounts or globs, such as [\"fast/mairie\", \"fast/*\"]".to_owned()
            }
            Self::FileMode => "write it in octal and in quotes, such as \"0640\" or \"0660\"".to_owned(),
            Self::Secret => {
                "a secret is never inline: write { file = \"…\" }, { env = \"…\" } or { credential = \"…\" }".to_owned()
            }
            Self::Notifier => format!(
                "write a list such as [\"/usr/local/bin/prevenir\", \"{{summary}}\"]: a program by its whole path, and arguments, in which {{{}}} stand for what is told",
                alerts::NOTICE.join("}, {")
            ),
            Self::Command => format!(
                "write a list such as [\"/usr/local/bin/integrer\", \"{{path}}\"]: a program by its whole path, and \
                 arguments, in which {{{}}} stand for what is handed over",
                targets::FACTS.join("}, {")
            ),
            Self::Webhook => address::HOOK.to_owned(),
            Self::Listen => listen::EXAMPLES.to_owned(),
        }
    }
}

/// Checks a text by `read`, which gives its canonical form or goes on with the sentence "`text` …".
fn text<E: std::fmt::Display>(value: &Value, read: impl Fn(&str) -> Result<String, E>) -> Checked {
    let given = value.as_str().ok_or_else(|| wrong_type(value, "a text"))?;
    match read(given) {
        Ok(canonical) => Ok(Value::String(canonical)),
        Err(fault) => Err(format!("{} {fault}", quoted(&address::without_user(given)))),
    }
}

/// Checks each text of a list, and names all that are wrong.
fn list<E: std::fmt::Display>(value: &Value, read: impl Fn(&str) -> Result<String, E>) -> Checked {
    let items = value.as_array().ok_or_else(|| wrong_type(value, "a list"))?;
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for item in items {
        match text(item, &read) {
            Ok(item) => right.push(item),
            Err(fault) => wrong.push(fault),
        }
    }
    if wrong.is_empty() { Ok(Value::Array(right)) } else { Err(wrong.join(", ")) }
}

fn filled(list: Checked) -> Checked {
    list.and_then(|list| match list.as_array() {
        Some(items) if items.is_empty() => Err("the list is empty".to_owned()),
        _ => Ok(list),
    })
}

fn distinct(list: Value) -> Checked {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    match items.iter().enumerate().find(|(index, item)| items[..*index].contains(item)) {
        Some((_, twice)) => Err(format!("{} is listed twice", shown(twice))),
        None => Ok(list),
    }
}

fn keep(text: &str, right: bool, wrong: &'static str) -> Result<String, &'static str> {
    if right { Ok(text.to_owned()) } else { Err(wrong) }
}

fn plain(text: &str) -> Result<String, &'static str> {
    keep(text, !text.chars().any(char::is_control), "holds characters that cannot be shown on one line")
}

pub(super) fn path(text: &str, folder: &Path) -> Result<String, &'static str> {
    if text.is_empty() || text.contains('\0') {
        return Err("is not a path");
    }
    let joined = folder.join(text);
    joined.to_str().map(str::to_owned).ok_or("lies in a folder whose name is not UTF-8")
}

fn word(text: &str, now: &[&str], later: &[&str]) -> Result<String, &'static str> {
    if later.contains(&text) {
        Err("is not yet supported by this version")
    } else {
        keep(text, now.contains(&text), "is not known here")
    }
}

fn whole(value: &Value, from: i64, to: i64) -> Checked {
    match value.as_integer() {
        Some(number) if (from..=to).contains(&number) => Ok(value.clone()),
        Some(number) => Err(format!("{number} is out of bounds")),
        None => Err(wrong_type(value, "a whole number")),
    }
}

fn bounded(text: &str, from: Duration, to: Duration) -> Result<String, &'static str> {
    match span::parse(text)? {
        span if span < from => Err("is too short"),
        span if span > to => Err("is too long"),
        span => Ok(span::show(span)),
    }
}

/// Checks where a secret is. No message shows a value: it may be the secret itself.
fn secret(value: &Value, folder: &Path) -> Checked {
    let Value::Table(table) = value else {
        return Err(format!("this is {}, not the place of a secret", type_name(value)));
    };
    let mut entries = table.iter();
    let (Some((source, place)), None) = (entries.next(), entries.next()) else {
        return Err("a secret is in one place: exactly one of `file`, `env` and `credential`".to_owned());
    };
    let place = place.as_str().filter(|place| !place.is_empty());
    let place = place.ok_or_else(|| format!("`{source}` must be a text that is not empty"))?;
    let place = match source.as_str() {
        "file" => path(place, folder).map_err(|fault| format!("`file` {fault}"))?,
        "env" if !place.contains(['=', '\0']) => place.to_owned(),
        "env" => return Err("`env` is not the name of a variable".to_owned()),
        "credential" if !place.contains(['/', '\0']) && place != "." && place != ".." => place.to_owned(),
        "credential" => return Err("`credential` is a name, not a path".to_owned()),
        _ => return Err(format!("{} is not a place of secrets", quoted(source))),
    };
    Ok(Value::Table(std::iter::once((source.clone(), Value::String(place))).collect()))
}

fn is_siren(text: &str) -> bool {
    text.len() == 9 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A host, a domain (`.example.fr`), an address, a network, or `*`; never a whole URL.
fn is_host(text: &str) -> bool {
    let known = |c: char| c.is_ascii_alphanumeric() || ".-_:[]*".contains(c);
    let host = text.split_once('/').map_or(text, |(host, bits)| if bits.parse::<u8>().is_ok() { host } else { "" });
    !host.is_empty() && host.chars().all(known)
}

/// The name of one folder, no path.
fn is_folder(text: &str) -> bool {
    !text.trim().is_empty() && text != "." && text != ".." && !text.chars().any(|c| c == '/' || c.is_control())
}

fn wrong_type(value: &Value, wanted: &str) -> String {
    format!("{} is {}, not {wanted}", shown(value), type_name(value))
}

/// `value` as messages show it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(&address::without_user(text)),
        Value::Array(_) | Value::Table(_) => "this".to_owned(),
        other => other.to_string(),
    }
}

pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a number",
        Value::Float(_) => "a number with decimals",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// `"a", "b" or "c"`.
fn either(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
