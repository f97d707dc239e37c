//! Sentences and what they are in French: `locale/fr.toml`, read once.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use serde::Deserialize;

/// What stands for a part that varies.
const HOLE: &str = "{}";

/// The French catalogue. A test reads the file with this very code, so that no other can be shipped; were it damaged all the
/// same, everything would be said in English.
pub(super) static FRENCH: LazyLock<Catalogue> =
    LazyLock::new(|| Catalogue::read(include_str!("../../locale/fr.toml")).unwrap_or_default());

/// The file: tables of English sentences, by where they come from.
#[derive(Deserialize)]
struct File {
    /// Literals of our sources.
    sentences: BTreeMap<String, Forms>,
    /// What several literals make together, where the French of one depends on the other.
    composed: BTreeMap<String, Forms>,
    /// What the system says.
    system: BTreeMap<String, Forms>,
}

/// A sentence in French: one form, or one for 0 and 1 and one for more.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Forms {
    One(String),
    ByNumber([String; 2]),
}

impl Forms {
    /// The form for `count` things; the plural where no number is known.
    pub(super) fn of(&self, count: Option<u64>) -> &str {
        match (self, count) {
            (Self::One(only), _) => only,
            (Self::ByNumber([singular, _]), Some(0 | 1)) => singular,
            (Self::ByNumber([_, plural]), _) => plural,
        }
    }
}

/// A sentence with parts that vary.
#[derive(Debug)]
pub(super) struct Template {
    /// What stands before, between and after these.
    fixed: Vec<String>,
    pub(super) french: Forms,
}

impl Template {
    /// Bytes that do not vary.
    pub(super) fn weight(&self) -> usize {
        self.fixed.iter().map(String::len).sum()
    }

    /// Whether it ends with a part that varies.
    pub(super) fn is_open(&self) -> bool {
        self.fixed.last().is_some_and(String::is_empty)
    }

    /// Where in `text` the parts that vary stand, if this is its sentence.
    pub(super) fn holes(&self, text: &str) -> Option<Vec<(usize, usize)>> {
        let (first, rest) = self.fixed.split_first()?;
        let (last, between) = rest.split_last()?;
        if !text.starts_with(first.as_str()) || !text.ends_with(last.as_str()) {
            return None;
        }
        let (mut from, end) = (first.len(), text.len() - last.len());
        let mut holes = Vec::with_capacity(rest.len());
        for part in between {
            let rest = text.get(from..end)?;
            let mut places = rest.match_indices(part.as_str()).map(|(at, _)| at);
            let to = from + places.find(|&at| is_closed(&rest[..at])).or_else(|| rest.find(part.as_str()))?;
            holes.push((from, to));
            from = to + part.len();
        }
        (from <= end).then(|| holes.push((from, end)))?;
        Some(holes)
    }
}

/// Whether every quotation in `text` has ended.
fn is_closed(text: &str) -> bool {
    ['"', '`'].into_iter().all(|mark| text.matches(mark).count().is_multiple_of(2))
}

/// All sentences.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    exact: HashMap<String, Forms>,
    templates: Vec<Template>,
}

impl Catalogue {
    /// Reads the text of a catalogue.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn read(text: &str) -> Result<Self, toml::de::Error> {
        let File { sentences, composed, system } = toml::from_str(text)?;
        let mut catalogue = Self::default();
        for (english, french) in sentences.into_iter().chain(composed).chain(system) {
            catalogue.add(english, french);
        }
        Ok(catalogue)
    }

    fn add(&mut self, english: String, french: Forms) {
        if !english.contains(HOLE) {
            self.exact.insert(english, french);
            return;
        }
        self.templates.push(Template { fixed: english.split(HOLE).map(str::to_owned).collect(), french });
    }

    /// The French of exactly `text`.
    pub(super) fn exact(&self, text: &str) -> Option<&Forms> {
        self.exact.get(text)
    }

    /// The sentences that may be somewhere in `text`.
    pub(super) fn candidates(&self, text: &str) -> Vec<&Template> {
        self.templates
            .iter()
            .filter(|template| template.fixed.iter().all(|part| text.contains(part.as_str())))
            .collect()
    }
}
