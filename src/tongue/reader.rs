//! Finds the sentences a text is made of.
//!
//! Sentences are set beside one another by `: `, `; `, `, ` and brackets, and stand in the holes of others. Of all ways to take
//! a text apart the one counts by which most of it is known. Only so much is tried: a text from outside may be anything.

use std::collections::HashMap;
use std::rc::Rc;

use super::catalogue::{Catalogue, Template};

/// What joins sentences, and how French sets it: with a space that does not break before the double points.
const JOINTS: [(&str, &str); 3] = [(": ", "\u{a0}: "), ("; ", "\u{a0}; "), (", ", ", ")];
/// What quotations stand in.
const QUOTES: [char; 2] = ['"', '`'];
/// Sentences that are tried on a text, at the most.
const TRIES: u32 = 20_000;
/// Sentences within sentences.
const DEPTH: u32 = 12;

/// A part of a text in French, and how much of it was known.
#[derive(Clone, Debug)]
struct Said {
    text: String,
    weight: i64,
}

/// Reads one text.
pub(super) struct Reader<'a> {
    catalogue: &'a Catalogue,
    candidates: Rc<[&'a Template]>,
    text: &'a str,
    known: HashMap<(usize, usize), Option<Said>>,
    tries: u32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(catalogue: &'a Catalogue, text: &'a str) -> Self {
        let candidates = catalogue.candidates(text).into();
        Self { catalogue, candidates, text, known: HashMap::new(), tries: TRIES }
    }

    /// The text in French; `None` if nothing of it is known.
    pub(super) fn translate(mut self) -> Option<String> {
        // Words that stand alone, such as the heads of columns, are known as a whole text only.
        if let Some(forms) = self.catalogue.exact(self.text) {
            return Some(forms.of(None).to_owned());
        }
        self.read((0, self.text.len()), DEPTH).map(|said| said.text)
    }

    fn slice(&self, (from, to): (usize, usize)) -> &'a str {
        self.text.get(from..to).unwrap_or_default()
    }

    /// The best way to read a part of the text.
    fn read(&mut self, part: (usize, usize), depth: u32) -> Option<Said> {
        if depth == 0 || part.0 >= part.1 {
            return None;
        }
        if let Some(known) = self.known.get(&part) {
            return known.clone();
        }
        let whole = self.sentence(part, depth).filter(|said| said.weight > 0);
        let mut parted: Option<Said> = None;
        for at in joints(self.slice(part)) {
            let Some(tries) = self.tries.checked_sub(1) else { break };
            self.tries = tries;
            let said = self.split(part, part.0 + at, depth).filter(|said| said.weight > 0);
            // Of two that are as good the later leaves more of what is not known untouched.
            if said.as_ref().map(|said| said.weight) >= parted.as_ref().map(|best| best.weight) {
                parted = said.or(parted);
            }
        }
        let best = match (whole, parted) {
            (Some(whole), Some(parted)) if parted.weight > whole.weight => Some(parted),
            (whole, parted) => whole.or(parted),
        };
        self.known.insert(part, best.clone());
        best
    }

    /// A part read as two, or as three around brackets, with a joint at `at`.
    fn split(&mut self, part: (usize, usize), at: usize, depth: u32) -> Option<Said> {
        let rest = self.slice((at, part.1));
        if let Some((english, french)) = JOINTS.into_iter().find(|(english, _)| rest.starts_with(english)) {
            let left = self.alone((part.0, at), depth);
            let right = self.read_or_keep((at + english.len(), part.1), depth);
            return Some(join(left, french, right));
        }
        let opened = at.checked_sub(1).filter(|&before| before >= part.0 && self.slice((before, at)) == " ")?;
        let closed = at + closing(rest.strip_prefix('(')?)? + 1;
        let (left, inner) = (self.alone((part.0, opened), depth), self.read_or_keep((at + 1, closed), depth));
        let tail = self.tail((closed + 1, part.1), depth);
        Some(join(join(left, " (", inner), ")", tail))
    }

    /// What follows a closing bracket.
    fn tail(&mut self, part: (usize, usize), depth: u32) -> Said {
        let rest = self.slice(part);
        let joints = JOINTS.into_iter().chain([(" ", " ")]);
        match joints.into_iter().find(|(english, _)| rest.starts_with(english)) {
            Some((english, french)) => {
                let said = self.read_or_keep((part.0 + english.len(), part.1), depth);
                Said { text: format!("{french}{}", said.text), ..said }
            }
            None => self.keep(part),
        }
    }

    /// One sentence, or the text as it stands.
    fn alone(&mut self, part: (usize, usize), depth: u32) -> Said {
        self.sentence(part, depth).unwrap_or_else(|| self.keep(part))
    }

    fn read_or_keep(&mut self, part: (usize, usize), depth: u32) -> Said {
        self.read(part, depth.saturating_sub(1)).unwrap_or_else(|| self.keep(part))
    }

    fn keep(&self, part: (usize, usize)) -> Said {
        Said { text: self.slice(part).to_owned(), weight: 0 }
    }

    /// A part read as one sentence, with or without its subject.
    fn sentence(&mut self, part: (usize, usize), depth: u32) -> Option<Said> {
        self.known_sentence(part, None, depth).or_else(|| self.predicate(part, depth))
    }

    /// A part read as a sentence of the catalogue, of `count` things if that was said before it.
    fn known_sentence(&mut self, part: (usize, usize), count: Option<u64>, depth: u32) -> Option<Said> {
        let text = self.slice(part);
        // A single word may be anybody's.
        if let Some(forms) = self.catalogue.exact(text).filter(|_| text.contains(' ') || count.is_some()) {
            return Some(Said { text: forms.of(count).to_owned(), weight: weigh(text.len()) });
        }
        let mut best: Option<(Said, usize)> = None;
        for template in Rc::clone(&self.candidates).iter() {
            self.tries = self.tries.checked_sub(1)?;
            let Some(holes) = template.holes(text) else { continue };
            let holes: Vec<_> = holes.into_iter().map(|(from, to)| (part.0 + from, part.0 + to)).collect();
            let own = template.weight();
            let said = self.fill(template, &holes, count, depth);
            // Of two that are as good the more particular one is meant.
            if best.as_ref().is_none_or(|(best, its)| (said.weight, own) > (best.weight, *its)) {
                best = Some((said, own));
            }
        }
        best.map(|(said, _)| said)
    }

    /// The French of `template` with its `holes` filled. A hole before others' words that holds a joint is likely to be a
    /// mistake: less is thought of it.
    fn fill(&mut self, template: &Template, holes: &[(usize, usize)], count: Option<u64>, depth: u32) -> Said {
        let count = count.or_else(|| holes.iter().find_map(|&hole| number(self.slice(hole))));
        let mut weight = weigh(template.weight());
        let mut pieces = template.french.of(count).split("{}");
        let mut text = pieces.next().unwrap_or_default().to_owned();
        let open_end = holes.last().filter(|_| template.is_open());
        for (hole, piece) in holes.iter().zip(pieces) {
            let said = self.hole(*hole, depth);
            let joined = JOINTS.iter().any(|(joint, _)| self.slice(*hole).contains(joint));
            weight += said.weight - i64::from(joined && open_end != Some(hole));
            text += &said.text;
            text += piece;
        }
        Said { text, weight }
    }

    /// What stands in a hole: names and quotations stay, sentences and lists are read.
    fn hole(&mut self, part: (usize, usize), depth: u32) -> Said {
        let text = self.slice(part);
        if !text.contains(' ') || is_quotation(text) {
            return self.keep(part);
        }
        if let Some(text) = list(text) {
            // More than the joints in it speak against it.
            return Said { text, weight: 2 };
        }
        self.read_or_keep(part, depth)
    }

    /// A part that begins with a name, a quotation or a number, of which the rest says something.
    fn predicate(&mut self, part: (usize, usize), depth: u32) -> Option<Said> {
        let text = self.slice(part);
        let mark = text.chars().next().filter(|mark| QUOTES.contains(mark));
        let mut ends = text.match_indices(' ').map(|(at, _)| at);
        let end = match mark {
            Some(mark) => ends.find(|&at| at > 1 && text[..at].ends_with(mark))?,
            None => ends.next().filter(|&at| at > 0)?,
        };
        let (subject, rest) = (self.keep((part.0, part.0 + end)), (part.0 + end + 1, part.1));
        let count = subject.text.parse().ok();
        let said = match self.known_sentence(rest, count, depth) {
            Some(said) => said,
            // As in `id` "/a b" is not a path.
            None if mark.is_some() && self.slice(rest).starts_with(QUOTES) => self.predicate(rest, depth)?,
            None => return None,
        };
        Some(join(subject, " ", said))
    }
}

fn weigh(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn join(left: Said, between: &str, right: Said) -> Said {
    Said { text: format!("{}{between}{}", left.text, right.text), weight: left.weight + right.weight }
}

/// Where in `text` there may be joints: outside of quotations, unless these do not end.
fn joints(text: &str) -> Vec<usize> {
    let (mut found, mut all, mut within, mut escaped) = (Vec::new(), Vec::new(), None, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = within == Some('"'),
            mark if QUOTES.contains(&mark) && within.is_none_or(|opened| opened == mark) => {
                within = if within.is_some() { None } else { Some(mark) };
            }
            ':' | ';' | ',' | '(' => {
                all.push(at);
                found.extend(within.is_none().then_some(at));
            }
            _ => {}
        }
    }
    if within.is_some() { all } else { found }
}

/// Where the bracket closes that was opened before `text`.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1_usize;
    let balanced = text.match_indices(['(', ')']).find_map(|(at, bracket)| {
        open = if bracket == "(" { open + 1 } else { open - 1 };
        (open == 0).then_some(at)
    });
    balanced.or_else(|| text.rfind(')'))
}

/// The number that `text` begins with, as a word of its own.
fn number(text: &str) -> Option<u64> {
    text.split(' ').next()?.parse().ok()
}

fn is_quotation(text: &str) -> bool {
    QUOTES.into_iter().any(|mark| {
        let inner = text.strip_prefix(mark).and_then(|text| text.strip_suffix(mark));
        inner.is_some_and(|inner| !inner.contains(mark))
    })
}

/// A list of quotations or names: `"a", "b" or "c"`. Plain words beside one another may be anything.
fn list(text: &str) -> Option<String> {
    let item = |text: &str| is_quotation(text) || !text.is_empty() && !text.contains(' ');
    let name = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    [(" or ", " ou "), (" and ", " et ")].into_iter().filter(|(word, _)| text.contains(word)).find_map(
        |(word, french)| {
            let mut all = text.split(", ").flat_map(|items| items.split(word));
            let is_list = all.clone().all(item) && all.any(|item| item.contains(['"', '`', '/', '{', '_']));
            let are_names = word == " and " && text.split(", ").flat_map(|items| items.split(word)).all(name);
            (is_list || are_names).then(|| text.replace(word, french))
        },
    )
}
