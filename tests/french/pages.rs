//! README.fr.md and docs/operations.fr.md beside their originals.

use std::path::{Component, Path, PathBuf};

use crate::markdown::{Block, Kind, anchor, blocks, code_of, commands_of, links};
use crate::{nothing, read};

const PAGES: [(&str, &str); 2] = [("README.md", "README.fr.md"), ("docs/operations.md", "docs/operations.fr.md")];

#[test]
fn the_french_pages_hold_what_the_english_ones_hold() {
    let amiss: Vec<String> = PAGES.iter().flat_map(|(english, french)| differences(english, french)).collect();
    nothing(&amiss);
}

#[test]
fn links_between_the_pages_lead_somewhere() {
    let files = PAGES.iter().flat_map(|(english, french)| [*english, *french]);
    let amiss: Vec<String> = files.flat_map(dead_links).collect();
    nothing(&amiss);
}

#[test]
fn each_page_begins_with_a_link_to_the_other_language() {
    for (english, french) in PAGES {
        for (page, other) in [(english, french), (french, english)] {
            let other = Path::new(other).file_name().unwrap().to_str().unwrap();
            let second = &blocks(&read(page))[1];
            assert!(links(&second.text).contains(&other), "{page}:{}: links to {other} below the title", second.line);
        }
    }
}

/// A heading with what follows it.
struct Section {
    blocks: Vec<Block>,
}

fn sections(page: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for block in blocks(&read(page)) {
        match sections.last_mut() {
            Some(section) if !matches!(block.kind, Kind::Heading(_)) => section.blocks.push(block),
            _ => sections.push(Section { blocks: vec![block] }),
        }
    }
    sections
}

fn differences(english: &str, french: &str) -> Vec<String> {
    let (originals, translations) = (sections(english), sections(french));
    let mut amiss: Vec<String> = Vec::new();
    for (original, translation) in originals.iter().zip(&translations) {
        let (heading, translated) = (&original.blocks[0], &translation.blocks[0]);
        if heading.kind != translated.kind {
            amiss.push(format!(
                "{french}:{}: «{}» stands where {english}:{} has «{}»: a section is missing, or too many",
                translated.line, translated.text, heading.line, heading.text
            ));
            return amiss;
        }
        amiss.extend(differences_of_sections(english, original, french, translation));
    }
    if originals.len() != translations.len() {
        let (more, less) = (originals.len(), translations.len());
        let next = originals.get(less).map_or("none", |section| section.blocks[0].text.as_str());
        amiss.push(format!("{french} has {less} sections, {english} {more}; the first that is missing: {next}"));
    }
    amiss
}

fn differences_of_sections(english: &str, original: &Section, french: &str, translation: &Section) -> Vec<String> {
    let mut amiss = Vec::new();
    for (block, translated) in original.blocks.iter().zip(&translation.blocks) {
        let place = format!("{french}:{} (for {english}:{})", translated.line, block.line);
        if block.kind != translated.kind {
            let text = shortened(&block.text);
            amiss.push(format!("{place}: is {:?}, and {:?} is wanted: «{text}»", translated.kind, block.kind));
            return amiss;
        }
        match block.kind {
            Kind::Code(true) => compare(&place, &commands_of(&block.text), &commands_of(&translated.text), &mut amiss),
            Kind::Code(false) => {
                let (wanted, found) = (block.text.lines().count(), translated.text.lines().count());
                if wanted != found {
                    amiss.push(format!("{place}: has {found} lines instead of {wanted}"));
                }
            }
            _ => compare(&place, &code_of(&block.text), &code_of(&translated.text), &mut amiss),
        }
    }
    if let Some(missing) = original.blocks.get(translation.blocks.len()) {
        let (heading, line) = (&translation.blocks[0].text, translation.blocks[0].line);
        let (at, text) = (missing.line, shortened(&missing.text));
        amiss.push(format!("{french}:{line}: «{heading}» lacks what is at {english}:{at}: «{text}»"));
    }
    if let Some(extra) = translation.blocks.get(original.blocks.len()) {
        let text = shortened(&extra.text);
        amiss.push(format!("{french}:{}: is not in {english}: «{text}»", extra.line));
    }
    amiss
}

fn compare(place: &str, wanted: &[String], found: &[String], amiss: &mut Vec<String>) {
    let beyond = |these: &[String], those: &[String]| -> Vec<String> {
        let mut rest = those.to_vec();
        let left_over = |word: &&String| match rest.iter().position(|other| other == *word) {
            Some(at) => {
                rest.remove(at);
                false
            }
            None => true,
        };
        these.iter().filter(left_over).map(|word| format!("`{word}`")).collect()
    };
    let (missing, extra) = (beyond(wanted, found), beyond(found, wanted));
    if !missing.is_empty() {
        amiss.push(format!("{place}: lacks {}", missing.join(", ")));
    }
    if !extra.is_empty() {
        amiss.push(format!("{place}: has, and the original has not, {}", extra.join(", ")));
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(90).collect()
}

fn dead_links(page: &str) -> Vec<String> {
    let dead = |block: &Block, target: &str| {
        let (path, wanted) = target.split_once('#').unwrap_or((target, ""));
        let file = if path.is_empty() { page.into() } else { beside(page, path) };
        if !Path::new(env!("CARGO_MANIFEST_DIR")).join(&file).exists() {
            return Some(format!("{page}:{}: {target}: there is no {}", block.line, file.display()));
        }
        let leads = wanted.is_empty() || anchors(file.to_str().unwrap()).iter().any(|anchor| anchor == wanted);
        (!leads).then(|| format!("{page}:{}: {target}: no heading has this anchor", block.line))
    };
    let all = blocks(&read(page));
    let text = all.iter().filter(|block| !matches!(block.kind, Kind::Code(_)));
    let links_of = |block: &'_ Block| -> Vec<String> {
        let local = links(&block.text).into_iter().filter(|target| is_local(target));
        local.filter_map(|target| dead(block, target)).collect()
    };
    text.flat_map(links_of).collect()
}

fn is_local(target: &str) -> bool {
    !target.contains("://")
}

fn beside(page: &str, path: &str) -> PathBuf {
    let mut file = PathBuf::from(page);
    file.pop();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(file.pop()),
            part => file.push(part),
        }
    }
    file
}

fn anchors(page: &str) -> Vec<String> {
    let headings = blocks(&read(page)).into_iter().filter(|block| matches!(block.kind, Kind::Heading(_)));
    headings.map(|block| anchor(&block.text)).collect()
}
