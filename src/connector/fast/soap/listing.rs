//! The list of ids that a listing is: each entry judged alone, as over REST.

use std::collections::HashSet;

use crate::connector::Listing;
use crate::connector::fast::listing::{KEPT, MOST, SHOWN, is_id};
use crate::connector::words::shown;
use crate::feed::{Kind, RemoteDocument};

/// Characters of a signed document's id, which the guide does not describe.
const LONGEST_ID: usize = 128;

/// Entries as they are read, each judged at once: those that say nothing take no memory.
#[derive(Clone, Debug)]
pub(super) struct Entries {
    kind: Kind,
    circuit: Option<String>,
    count: usize,
    refused: usize,
    seen: HashSet<String>,
    listing: Listing,
}

impl Entries {
    /// Entries of a list of `kind`; of signed documents, those of `circuit`.
    pub(super) fn of(kind: Kind, circuit: Option<&String>) -> Self {
        let (seen, listing) = (HashSet::new(), Listing::default());
        Self { kind, circuit: circuit.cloned(), count: 0, refused: 0, seen, listing }
    }

    /// Takes the text of one entry.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn judge(&mut self, id: &str) -> Result<(), String> {
        self.count += 1;
        if self.count > MOST {
            return Err(format!("it has more than {MOST} entries"));
        }
        let fits = if self.kind == Kind::Signes { is_signed_id(id) } else { is_id(id) };
        if !fits {
            self.refused += 1;
            if self.refused <= KEPT {
                self.listing.refused.push(shown(id).chars().take(SHOWN).collect());
            }
        } else if self.seen.insert(id.to_owned()) {
            let document = RemoteDocument { circuit: self.circuit.clone(), ..RemoteDocument::of_id(id) };
            self.listing.documents.push(document);
        } else {
            self.listing.duplicates += 1;
        }
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(self) -> Listing {
        let Self { mut listing, refused, .. } = self;
        if refused > KEPT {
            listing.refused.push(format!("… and {} more", refused - KEPT));
        }
        listing
    }
}

/// Whether `text` can be the id of a signed document.
fn is_signed_id(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/');
    !text.is_empty() && text.len() <= LONGEST_ID && text.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(kind: Kind, entries: &[&str]) -> Listing {
        let circuit = "Marches".to_owned();
        let mut taken = Entries::of(kind, Some(&circuit).filter(|_| kind == Kind::Signes));
        entries.iter().for_each(|entry| taken.judge(entry).unwrap());
        taken.finish()
    }

    #[test]
    fn each_id_counts_once_and_what_is_none_is_refused_alone() {
        let found = listing(Kind::Chorus, &["7", "", "8", "7", "../x", "a-1"]);
        let ids: Vec<&str> = found.documents.iter().map(|it| it.id.as_str()).collect();
        assert_eq!((ids, found.duplicates), (vec!["7", "8"], 1));
        assert_eq!(found.refused, ["", "../x", "a-1"]);
        let found = listing(Kind::Signes, &["a-1", "<b>"]);
        assert_eq!(found.documents[0].circuit.as_deref(), Some("Marches"));
        assert_eq!((found.documents.len(), found.refused.len()), (1, 1));
    }

    #[test]
    fn entries_without_end_take_no_memory_and_end_the_listing() {
        let found = listing(Kind::Chorus, &["x"; 60]);
        assert_eq!((found.refused.len(), found.refused[20].as_str()), (21, "… and 40 more"));
        let mut entries = Entries::of(Kind::Chorus, None);
        let many = (0..=MOST).try_for_each(|_| entries.judge(""));
        assert_eq!(many.unwrap_err(), format!("it has more than {MOST} entries"));
        assert!(entries.listing.refused.len() <= KEPT);
    }
}
