//! Troubles that say the same of different subjects, such as all feeds where the network is down: told once.

use std::collections::HashMap;

use super::Trouble;

/// Of those that say the same, so many are named.
const NAMED: usize = 5;

/// Troubles that say the same of different subjects.
#[derive(Debug)]
pub struct Alike<'a> {
    /// The first of them.
    pub first: &'a Trouble,
    /// The subjects of the others.
    pub others: Vec<&'a str>,
}

impl Alike<'_> {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Whom else the first speaks of; `None`: nobody.
    #[must_use]
    pub fn of_others(&self) -> Option<String> {
        let named = self.others.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if self.others.len() > NAMED { ", …" } else { "" };
        (!self.others.is_empty()).then(|| format!("the same of {} more: {named}{more}", self.others.len()))
    }
}

/// `troubles` put together where they say the same, in the order of the first of each.
#[must_use]
pub fn alike(troubles: &[Trouble]) -> Vec<Alike<'_>> {
    let mut places = HashMap::new();
    let mut groups: Vec<Alike<'_>> = Vec::new();
    for trouble in troubles {
        let without = |text: &str| text.replace(&trouble.subject, "");
        let key = (trouble.severity, trouble.kind, without(&trouble.message), without(&trouble.remedy));
        let place = *places.entry(key).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.others.push(&trouble.subject),
            None => groups.push(Alike { first: trouble, others: Vec::new() }),
        }
    }
    groups
}
