//! What one file says: its leaves, checked and placed, and the tables of its arrays.
//!
//! Reading goes on after every fault, so that all are found at once; a leaf at fault is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::finding::{Fault, Finding, Place, Weight, quoted};
use super::keys::{Absent, Key, LISTS, List, SECTIONS, Section};
use super::shape::shown;
use super::unknown;

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    /// The plain keys.
    pub(super) leaves: Vec<Leaf>,
    /// The tables of all arrays of tables.
    pub(super) entries: Vec<Entry>,
    /// Whether all of the file could be read: only then does absence mean something.
    pub(super) whole: bool,
}

/// A plain key that is set, to something it may be.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    /// `section.key`.
    pub(super) path: String,
    /// In its canonical form.
    pub(super) value: Value,
    pub(super) place: Place,
}

/// A table of an array of tables, such as an account.
#[derive(Debug)]
pub(super) struct Entry {
    /// `section.list`, such as `fast.accounts`.
    pub(super) list: String,
    /// Counted from 1, in its file.
    pub(super) number: usize,
    pub(super) place: Place,
    /// Its keys that are right, and the defaults of those that are absent: lists, for there may be thousands of tables.
    values: Vec<(&'static str, Value)>,
    /// Its faults, one line each.
    pub(super) faults: Vec<String>,
    /// The keys that are set, rightly or wrongly, and the lines they stand on.
    lines: Vec<(&'static str, u32)>,
}

impl Entry {
    /// The value of `key`, if that is right.
    pub(super) fn value(&self, key: &str) -> Option<&Value> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// The text of `key`, if that is right.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.value(key).and_then(Value::as_str)
    }

    /// The items of `key`, if that is right; none where it is no list.
    pub(super) fn items(&self, key: &str) -> &[Value] {
        self.value(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// The table of all its values.
    pub(super) fn table(&self) -> toml::Table {
        self.values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    /// Whether the file sets `key`, rightly or wrongly.
    pub(super) fn sets(&self, key: &str) -> bool {
        self.line_of(key).is_some()
    }

    fn line_of(&self, key: &str) -> Option<u32> {
        self.lines.iter().find(|(name, _)| *name == key).map(|(_, line)| *line)
    }

    /// Where `key` is set.
    pub(super) fn place_of(&self, key: &str) -> Place {
        let line = self.line_of(key).or(self.place.line);
        Place { file: self.place.file.clone(), line, key: format!("{}.{key}", self.place.key) }
    }
}

/// Reads `text`, the content of `file`.
pub(super) fn read(file: &Path, text: &str, findings: &mut Vec<Finding>) -> Fragment {
    let mut reader = Reader {
        file,
        folder: folder_of(file),
        lines: Lines::of(text),
        fragment: Fragment { whole: true, ..Fragment::default() },
        findings,
    };
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        reader.document(document.into_inner());
    } else {
        // The parser leaves the rest of a file unread after some errors: without the damaged lines it goes on. What
        // it then misses is their consequence, and not told.
        let damaged = reader.syntax(&errors);
        reader.document(DeTable::parse_recoverable(&without(text, &damaged)).0.into_inner());
    }
    reader.fragment
}

/// The folder that relative paths in `file` start from.
pub(super) fn folder_of(file: &Path) -> PathBuf {
    file.parent().map(Path::to_owned).unwrap_or_default()
}

struct Reader<'a> {
    file: &'a Path,
    folder: PathBuf,
    lines: Lines,
    fragment: Fragment,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    /// Tells the errors of syntax, and gives the lines they are on.
    fn syntax(&mut self, errors: &[toml::de::Error]) -> BTreeSet<u32> {
        self.fragment.whole = false;
        let mut damaged = BTreeMap::new();
        for error in errors {
            let start = error.span().map_or(0, |span| span.start);
            // Of several errors on a line the first is the cause.
            damaged.entry(self.lines.line(start)).or_insert((start, error.message()));
        }
        for (start, message) in damaged.values() {
            // What the line says is not shown: it may hold a secret.
            let what = format!("not TOML: {}", message.replace('\n', ", "));
            self.say(Fault::new(what, "correct the line"), Weight::Error, *start, String::new());
        }
        damaged.into_keys().collect()
    }

    /// Each table is let go once it is read: what the parser makes of thousands is several times what is kept of them.
    fn document(&mut self, document: DeTable<'_>) {
        for (name, value) in document {
            let start = name.span().start;
            let name = name.get_ref().as_ref();
            if let Some(list) = LISTS.iter().find(|list| list.name == name) {
                self.list(list, name.to_owned(), start, value.into_inner());
                continue;
            }
            match (SECTIONS.iter().find(|section| section.name == name), value.into_inner()) {
                (Some(section), DeValue::Table(table)) => self.section(section, table),
                (Some(_), other) => {
                    let fault = Fault::new(
                        format!("{} where a table belongs", shown(&value_of(&other))),
                        format!("write [{name}]"),
                    );
                    self.say(fault, Weight::Error, start, name.to_owned());
                }
                (None, _) => self.say(unknown::section(name), Weight::Error, start, bare(name)),
            }
        }
    }

    fn section(&mut self, section: &'static Section, table: DeTable<'_>) {
        for (name, value) in table {
            let start = name.span().start;
            let name = name.get_ref().as_ref();
            let path = format!("{}.{}", section.name, bare(name));
            if let Some(key) = section.keys.iter().find(|key| key.name == name) {
                match key.shape.check(&value_of(value.get_ref()), &self.folder) {
                    Ok(value) => {
                        let place = self.place(start, path.clone());
                        self.fragment.leaves.push(Leaf { path, value, place });
                    }
                    Err(fault) => self.say(fault, Weight::Error, start, path),
                }
            } else if let Some(list) = section.lists.iter().find(|list| list.name == name) {
                self.list(list, path, start, value.into_inner());
            } else {
                let known: Vec<&str> =
                    section.keys.iter().map(|key| key.name).chain(section.lists.iter().map(|list| list.name)).collect();
                self.say(unknown::key(name, &known, &format!("[{}]", section.name)), Weight::Error, start, path);
            }
        }
    }

    fn list(&mut self, list: &'static List, path: String, start: usize, value: DeValue<'_>) {
        let remedy = format!("write [[{path}]] above each");
        let DeValue::Array(items) = value else {
            let fault = Fault::new("one thing where a list of tables belongs", remedy);
            return self.say(fault, Weight::Error, start, path);
        };
        for (index, item) in items.into_iter().enumerate() {
            let start = item.span().start;
            let number = index + 1;
            let mut entry = Entry {
                place: self.place(start, format!("{path}[{number}]")),
                list: path.clone(),
                number,
                values: Vec::new(),
                faults: Vec::new(),
                lines: Vec::new(),
            };
            match item.get_ref() {
                DeValue::Table(table) => self.entry(list, &mut entry, table),
                other => {
                    let fault =
                        Fault::new(format!("{} where a table belongs", shown(&value_of(other))), remedy.clone());
                    let place = entry.place.clone();
                    self.blame(&mut entry, list, fault, place);
                }
            }
            self.fragment.entries.push(entry);
        }
    }

    fn entry(&mut self, list: &'static List, entry: &mut Entry, table: &DeTable<'_>) {
        if let Some(name) = table.get("name").and_then(|name| name.get_ref().as_str()) {
            entry.place.key += &format!(" {}", quoted(name));
        }
        for (name, value) in table {
            let line = self.lines.line(name.span().start);
            let name = name.get_ref().as_ref();
            let place = Place { line: Some(line), ..entry.place_of(&bare(name)) };
            let Some(key) = list.keys.iter().find(|key| key.name == name) else {
                let known: Vec<&str> = list.keys.iter().map(|key| key.name).collect();
                let fault = unknown::key(name, &known, &format!("[[{}]]", entry.list));
                self.blame(entry, list, fault, place);
                continue;
            };
            entry.lines.push((key.name, line));
            match key.shape.check(&value_of(value.get_ref()), &self.folder) {
                Ok(value) => entry.values.push((key.name, value)),
                Err(fault) => self.blame(entry, list, fault, place),
            }
        }
        for key in list.keys.iter().filter(|key| !table.contains_key(key.name)) {
            self.absent(list, entry, key);
        }
        entry.values.shrink_to_fit();
        entry.lines.shrink_to_fit();
    }

    fn absent(&mut self, list: &'static List, entry: &mut Entry, key: &Key) {
        match key.absent {
            Absent::Default(text) => {
                let value = key.shape.value_of(text);
                entry.values.push((key.name, value));
            }
            // What could not be read may well have been there.
            Absent::Required if self.fragment.whole => {
                let fault = Fault::new("missing", format!("add it: {}", key.shape.remedy()));
                let place = entry.place_of(key.name);
                self.blame(entry, list, fault, place);
            }
            Absent::Required => entry.faults.push(format!("{} cannot be read", key.name)),
            Absent::Unset => {}
        }
    }

    fn blame(&mut self, entry: &mut Entry, list: &List, fault: Fault, place: Place) {
        let key = place.key.strip_prefix(&entry.place.key).unwrap_or_default().trim_start_matches('.');
        let subject = if key.is_empty() { String::new() } else { format!("{key}: ") };
        entry.faults.push(format!("{subject}{}", fault.what));
        self.findings.push(fault.at(list.weight, place));
    }

    fn say(&mut self, fault: Fault, weight: Weight, start: usize, key: String) {
        let place = self.place(start, key);
        self.findings.push(fault.at(weight, place));
    }

    fn place(&self, start: usize, key: String) -> Place {
        Place { file: Some(self.file.to_owned()), line: Some(self.lines.line(start)), key }
    }
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(offset, _)| offset + 1).collect())
    }

    /// The line, counted from 1, of the byte at `offset`.
    fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.0.partition_point(|&start| start <= offset) + 1).unwrap_or(u32::MAX)
    }
}

/// `text` with its `damaged` lines made empty, so that all others stay where they are. Where the header of a table is
/// damaged, so is all of the table: its keys would seem to belong to the table before.
fn without(text: &str, damaged: &BTreeSet<u32>) -> String {
    let mut orphaned = false;
    let keep = |(line, number): (&str, u32)| {
        if line.trim_start().starts_with('[') {
            orphaned = damaged.contains(&number);
        }
        if orphaned || damaged.contains(&number) { blank(line) } else { line.to_owned() }
    };
    text.split_inclusive('\n').zip(1..).map(keep).collect()
}

/// As many blanks as `line` has bytes, and its end.
fn blank(line: &str) -> String {
    line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect()
}

/// A name as TOML writes it in a key.
fn bare(name: &str) -> String {
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if plain { name.to_owned() } else { quoted(name) }
}

/// `value` without its places in the file.
fn value_of(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Float(f64::INFINITY),
        },
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(date) => Value::Datetime(*date),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| value_of(item.get_ref())).collect()),
        DeValue::Table(table) => {
            let entry =
                |(key, value): (&toml::Spanned<_>, &toml::Spanned<_>)| (to_text(key), value_of(value.get_ref()));
            Value::Table(table.iter().map(entry).collect())
        }
    }
}

fn to_text(key: &toml::Spanned<std::borrow::Cow<'_, str>>) -> String {
    key.get_ref().to_string()
}
