//! Section 5: the configuration, made from the shipped examples, which explain every option where it stands.

use std::fmt::Write as _;

use super::example::{Item, items};
use super::{Language, finished, roff};
use crate::config::{Unless, unless_set};

/// Where the tables go in a page.
const PLACE: &str = ".\\\" @TABLES@\n";
/// Where the head of the main file goes.
const HEAD: &str = ".\\\" @HEAD@\n";

/// What a page is made of.
struct Sources {
    /// The page without its tables.
    frame: &'static str,
    /// The main file.
    main: &'static str,
    /// The files of `conf.d`: each explains the accounts of the table it is named for.
    accounts: [(&'static str, &'static str); 4],
    required: &'static str,
    default: &'static str,
    example: &'static str,
}

const ENGLISH: Sources = Sources {
    frame: include_str!("../../../docs/man/vaguemestre.toml.5"),
    main: include_str!("../../../config/vaguemestre.toml"),
    accounts: [
        ("[fast]", include_str!("../../../config/conf.d/fast.toml")),
        ("[douane]", include_str!("../../../config/conf.d/douane.toml")),
        ("[piste]", include_str!("../../../config/conf.d/piste.toml")),
        ("[entreprise]", include_str!("../../../config/conf.d/entreprise.toml")),
    ],
    required: "required",
    default: "default",
    example: "example",
};

const FRENCH: Sources = Sources {
    frame: include_str!("../../../docs/man/vaguemestre.toml.fr.5"),
    main: include_str!("../../../config/fr/vaguemestre.toml"),
    accounts: [
        ("[fast]", include_str!("../../../config/fr/conf.d/fast.toml")),
        ("[douane]", include_str!("../../../config/fr/conf.d/douane.toml")),
        ("[piste]", include_str!("../../../config/fr/conf.d/piste.toml")),
        ("[entreprise]", include_str!("../../../config/fr/conf.d/entreprise.toml")),
    ],
    required: "obligatoire",
    default: "par défaut",
    example: "exemple",
};

pub(super) fn page(language: Language) -> String {
    let sources = match language {
        Language::English => ENGLISH,
        Language::French => FRENCH,
    };
    let mut main = items(sources.main);
    let start = main.iter().position(|item| matches!(item, Item::Table { .. })).unwrap_or(main.len());
    let head = Rendering::of(&sources, main.drain(..start));
    let tables = Rendering::of(&sources, with_accounts(main, &sources.accounts).into_iter());
    finished(&sources.frame.replace(HEAD, &head).replace(PLACE, &tables))
}

/// The items of the main file, those of a file of accounts behind the table that it belongs to.
fn with_accounts(main: Vec<Item>, accounts: &[(&str, &str)]) -> Vec<Item> {
    let mut all = Vec::new();
    let mut current = String::new();
    let ends = |current: &str, all: &mut Vec<Item>| {
        for (_, text) in accounts.iter().filter(|(table, _)| *table == current) {
            let mut items = items(text);
            // The comment at its head is about the table that follows.
            if matches!(items.first(), Some(Item::Prose(_))) && items.len() > 1 {
                items.swap(0, 1);
            }
            all.extend(items);
        }
    };
    for item in main {
        if let Item::Table { header, .. } = &item {
            ends(&current, &mut all);
            current.clone_from(header);
        }
        all.push(item);
    }
    ends(&current, &mut all);
    all
}

/// Items as they become roff, one after the other.
struct Rendering<'a> {
    sources: &'a Sources,
    out: String,
    /// The table that is being told of, and those of its keys that have been explained.
    table: String,
    explained: Vec<String>,
}

impl<'a> Rendering<'a> {
    fn of(sources: &'a Sources, items: impl Iterator<Item = Item>) -> String {
        let mut rendering = Self { sources, out: String::new(), table: String::new(), explained: Vec::new() };
        items.for_each(|item| rendering.add(item));
        rendering.out
    }

    fn add(&mut self, item: Item) {
        match item {
            Item::Prose(prose) => self.prose(&prose),
            Item::Table { header, prose } => {
                if header != self.table {
                    self.out.push_str(&format!(".SS {}\n", roff::literal(&header)));
                    self.table = header;
                    self.explained.clear();
                }
                self.prose(&prose);
            }
            Item::Key { name, value, prose } => self.key(name, &value, &prose),
        }
    }

    fn prose(&mut self, paragraphs: &[String]) {
        for paragraph in paragraphs {
            // A heading begins a paragraph of its own.
            let heading = self.out.lines().last().is_none_or(|line| line.starts_with(".SS "));
            if !heading {
                self.out.push_str(".PP\n");
            }
            self.out.push_str(&roff::paragraph(paragraph));
        }
    }

    fn key(&mut self, name: String, value: &str, prose: &[String]) {
        // A table that is shown once more for another of its uses repeats what it shares.
        if prose.is_empty() && self.explained.contains(&name) {
            return;
        }
        let sources = self.sources;
        let standing = match unless_set(&self.table, &name, value) {
            Some(Unless::Required) => sources.required,
            Some(Unless::This) => sources.default,
            Some(Unless::Otherwise) | None => sources.example,
        };
        let (tag, value) = (roff::literal(&name), roff::literal(value));
        let _ = writeln!(self.out, ".TP\n\\fB{tag}\\fR = {value}  \\fI({standing})\\fR");
        for (number, paragraph) in prose.iter().enumerate() {
            if number > 0 {
                self.out.push_str(".IP\n");
            }
            self.out.push_str(&roff::paragraph(paragraph));
        }
        self.explained.push(name);
    }
}
