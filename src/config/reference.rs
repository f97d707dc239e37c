//! What a manual says of a key beside its purpose: whether it must be set, and what it is if nobody sets it.

use super::keys::{Absent, Key, LISTS, SECTIONS};

/// What a key is where nobody sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unless {
    /// It must be set.
    Required,
    /// The value that was asked about.
    This,
    /// Nothing, or another value than the one that was asked about.
    Otherwise,
}

/// What the key `name` of the table `header` (`[schedule]`, `[[fast.accounts]]`) is where nobody sets it, compared with
/// `value` (TOML). None, if there is no such key.
#[must_use]
pub fn unless_set(header: &str, name: &str, value: &str) -> Option<Unless> {
    let (_, key) = keys().find(|(table, key)| table == header && key.name == name)?;
    Some(match key.absent {
        Absent::Required => Unless::Required,
        Absent::Unset => Unless::Otherwise,
        Absent::Default(text) => {
            let shown = toml::from_str::<toml::Table>(&format!("key = {value}")).ok();
            let same = shown.is_some_and(|shown| shown.get("key") == Some(&key.shape.value_of(text)));
            if same { Unless::This } else { Unless::Otherwise }
        }
    })
}

/// Every key there is, behind the header of its table: `("[[fast.accounts]]", "siren")`.
pub fn all_keys() -> impl Iterator<Item = (String, &'static str)> {
    keys().map(|(table, key)| (table, key.name))
}

fn keys() -> impl Iterator<Item = (String, &'static Key)> {
    let sections = SECTIONS.iter().flat_map(|section| {
        let plain = section.keys.iter().map(|key| (format!("[{}]", section.name), key));
        let lists = section.lists.iter().map(|list| (format!("[[{}.{}]]", section.name, list.name), list.keys));
        plain.chain(lists.flat_map(|(header, keys)| keys.iter().map(move |key| (header.clone(), key))))
    });
    let lists = LISTS.iter().flat_map(|list| list.keys.iter().map(|key| (format!("[[{}]]", list.name), key)));
    sections.chain(lists)
}
