//! Markdown as far as these pages use it: blocks, their code, their links.

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Heading(usize),
    Paragraph,
    Item,
    Row,
    /// Whether it names a language.
    Code(bool),
}

/// A block of a page.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) kind: Kind,
    /// Of code: the language, then its lines; else the text in one line.
    pub(crate) text: String,
    /// The number of its first line.
    pub(crate) line: usize,
}

/// The blocks of a page, in their order.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut fenced, mut open) = (false, false);
    for (number, line) in page.lines().enumerate() {
        let (trimmed, line) = (line.trim(), number + 1);
        if let Some(language) = trimmed.strip_prefix("```") {
            fenced = !fenced;
            open = false;
            if fenced {
                blocks.push(Block { kind: Kind::Code(!language.is_empty()), text: language.to_owned(), line });
            }
            continue;
        }
        let kind = match trimmed {
            _ if fenced => None,
            "" => {
                open = false;
                continue;
            }
            _ if trimmed.starts_with('#') => Some(Kind::Heading(trimmed.len() - trimmed.trim_start_matches('#').len())),
            _ if trimmed.starts_with("| ---") => continue,
            _ if trimmed.starts_with('|') => Some(Kind::Row),
            _ if is_item(trimmed) => Some(Kind::Item),
            _ if open => None,
            _ => Some(Kind::Paragraph),
        };
        match (kind, blocks.last_mut()) {
            (None, Some(last)) => {
                last.text.push(if fenced { '\n' } else { ' ' });
                last.text.push_str(trimmed);
            }
            (kind, _) => blocks.push(Block { kind: kind.unwrap_or(Kind::Paragraph), text: trimmed.to_owned(), line }),
        }
        open = !fenced;
    }
    blocks
}

fn is_item(line: &str) -> bool {
    let digits = line.trim_start_matches(|character: char| character.is_ascii_digit());
    line.starts_with("- ") || (digits.len() < line.len() && digits.starts_with(". "))
}

/// What stands in backquotes, in the order of the alphabet; reasons that an operator gives are left out.
pub(crate) fn code_of(text: &str) -> Vec<String> {
    let mut spans: Vec<String> = text.split('`').skip(1).step_by(2).map(without_reason).collect();
    spans.sort();
    spans
}

/// The lines of a code block without comments, which are for people.
pub(crate) fn commands_of(text: &str) -> Vec<String> {
    let sql = text.starts_with("sql");
    let comment = if sql { "--" } else { "#" };
    let strip = |line: &str| {
        let end = line.match_indices(comment).map(|(at, _)| at).find(|at| *at == 0 || line[..*at].ends_with(' '));
        without_reason(line[..end.unwrap_or(line.len())].trim_end())
    };
    text.lines().map(strip).filter(|line| !line.is_empty()).collect()
}

fn without_reason(code: &str) -> String {
    match code.split_once("--reason \"") {
        Some((before, after)) => {
            format!("{before}--reason \"…\"{}", after.split_once('"').map_or("", |(_, rest)| rest))
        }
        None => code.to_owned(),
    }
}

/// The targets of the links in a text.
pub(crate) fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

/// The anchor that GitHub gives a heading.
pub(crate) fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|character| character.is_alphanumeric() || matches!(character, ' ' | '-' | '_'));
    kept.map(|character| if character == ' ' { '-' } else { character }).collect()
}
