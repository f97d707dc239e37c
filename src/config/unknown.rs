//! Names nobody knows: what was probably meant.

use super::finding::Fault;
use super::keys::{LISTS, SECTIONS};

/// A key `name` that is not among those known where it stands; `place` is the name of that table, such as `[fast]`.
pub(super) fn key(name: &str, known: &[&str], place: &str) -> Fault {
    let home = SECTIONS.iter().find(|section| section.keys.iter().any(|key| key.name == name));
    let remedy = match (nearest(name, known), home) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(home)) => format!("it belongs in [{}]", home.name),
        (None, None) => format!("remove it; {place} knows {}", known.join(", ")),
    };
    Fault::new("unknown key", remedy)
}

/// A section `name` that is not known.
pub(super) fn section(name: &str) -> Fault {
    let lists = LISTS.iter().map(|list| list.name);
    let known: Vec<&str> = SECTIONS.iter().map(|section| section.name).chain(lists).collect();
    key(name, &known, "the file")
}

/// The known name that `name` was probably meant to be.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let tolerated = (name.chars().count() / 3).clamp(1, 3);
    let distance = |other: &str| strsim::osa_distance(&name, &other.to_ascii_lowercase());
    known.iter().map(|&other| (distance(other), other)).filter(|(far, _)| *far <= tolerated).min().map(|(_, near)| near)
}
