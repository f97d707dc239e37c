//! The literals of our sources, as the catalogue writes them.

use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// What is said here nobody hears in French, or has its French beside it.
const SILENT: [&str; 5] = ["admin/words.rs", "cli/demo", "fuzzing", "simulator", "tongue"];
/// What is said here never reaches `check`, `status` or the page; only errors and remedies do.
const ELSEWHERE: [&str; 26] = [
    "admin/answer.rs",
    "admin/metrics.rs",
    "admin/process.rs",
    "admin/sheet.rs",
    "admin/tally.rs",
    "cli/completions.rs",
    "cli/documents.rs",
    "cli/export.rs",
    "cli/man",
    "cli/nagios.rs",
    "cli/plan.rs",
    "cli/restore.rs",
    "cli/show.rs",
    "cli/verify.rs",
    "config/reference.rs",
    "daemon/by_hand.rs",
    "daemon/couriers.rs",
    "daemon/forget.rs",
    "daemon/operate.rs",
    "daemon/replay.rs",
    "daemon/sentence.rs",
    "daemon/supervisor.rs",
    "daemon/telling.rs",
    "log.rs",
    "poll/recover.rs",
    "token/service.rs",
];
/// Macros whose first literal is a format.
const FORMATTING: [&str; 8] = ["anyhow", "bail", "eprintln", "format", "print", "println", "write", "writeln"];
/// Macros and functions whose words are for programmers, logs and tests.
const UNHEARD: [&str; 6] = ["assert", "assert_eq", "debug_assert", "panic", "step", "unreachable"];
/// Words by which SQL is told from prose.
const SQL: [&str; 13] = [
    "SELECT", "UPDATE", "INSERT", "DELETE", "WITH", "FROM", "WHERE", "AND", "OR", "ORDER", "VACUUM", "PRAGMA",
    "CONFLICT",
];

/// A piece of text in our sources.
pub(crate) struct Literal {
    pub(crate) file: PathBuf,
    /// With `{}` for what varies.
    pub(crate) text: String,
    /// Whether it must be in the catalogue.
    pub(crate) heard: bool,
}

/// All of them.
pub(crate) fn all() -> Vec<Literal> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: Vec<PathBuf> = crate::common::files(&root);
    files.retain(|file| file.extension().is_some_and(|it| it == "rs") && !file.to_str().unwrap().contains("tests"));
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let short = file.strip_prefix(&root).unwrap_or(&file).to_owned();
        let path = root.join(&short);
        let stream: TokenStream = std::fs::read_to_string(&path).unwrap().parse().unwrap();
        let place = Place { heard: !ELSEWHERE.iter().any(|it| short.starts_with(it)), within: Within::Code };
        let mut texts = Vec::new();
        walk(stream, place, &mut texts);
        let silent = SILENT.iter().any(|it| short.starts_with(it));
        let literal = |(text, heard)| Literal { file: short.clone(), text, heard: heard && !silent };
        found.extend(texts.into_iter().map(literal));
    }
    found
}

#[derive(Clone, Copy)]
struct Place {
    heard: bool,
    within: Within,
}

/// What a literal is an argument of.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    Code,
    /// `counted(…, noun)`.
    Counted,
    /// `Fault::new`, whose words may be single ones.
    Fault,
}

fn walk(stream: TokenStream, place: Place, found: &mut Vec<(String, bool)>) {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let next = |ahead: usize| tokens.get(at + ahead);
        at += match token {
            TokenTree::Punct(mark) if mark.as_char() == '#' => attribute(&tokens[at + 1..], place, found) + 1,
            TokenTree::Ident(name) if name == "fn" => function(&tokens[at + 1..], place, found) + 1,
            TokenTree::Ident(name) => match (next(1), next(2)) {
                (Some(TokenTree::Punct(mark)), Some(TokenTree::Group(arguments))) if mark.as_char() == '!' => {
                    let logged = tokens[..at].iter().rev().take(3).any(|it| it.to_string() == "tracing");
                    if !logged {
                        call(&name.to_string(), true, arguments, false, place, found);
                    }
                    3
                }
                (Some(TokenTree::Group(arguments)), _) if arguments.delimiter() == Delimiter::Parenthesis => {
                    let fault = tokens[..at].iter().rev().take(3).any(|it| it.to_string() == "Fault");
                    call(&name.to_string(), false, arguments, fault, place, found);
                    2
                }
                _ => 1,
            },
            TokenTree::Group(group) => {
                walk(group.stream(), Place { within: Within::Code, ..place }, found);
                1
            }
            TokenTree::Literal(literal) => {
                note(&literal.to_string(), false, place, found);
                1
            }
            TokenTree::Punct(_) => 1,
        };
    }
}

/// Of attributes only `#[error]` holds what people hear; what is for tests alone is passed over. Answers how many tokens it took.
fn attribute(rest: &[TokenTree], place: Place, found: &mut Vec<(String, bool)>) -> usize {
    let inner = usize::from(matches!(rest.first(), Some(TokenTree::Punct(mark)) if mark.as_char() == '!'));
    let Some(TokenTree::Group(group)) = rest.get(inner) else { return 0 };
    let body: Vec<TokenTree> = group.stream().into_iter().collect();
    match (body.first().map(ToString::to_string).as_deref(), body.get(1)) {
        (Some("error"), Some(TokenTree::Group(arguments))) => {
            formatted(arguments.stream(), Place { heard: true, ..place }, found);
        }
        (Some("cfg"), Some(TokenTree::Group(condition))) if condition.to_string().contains("test") => {
            let ends = |it: &TokenTree| match it {
                TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                it => it.to_string() == ";",
            };
            return rest.iter().position(ends).map_or(rest.len(), |end| end + 1);
        }
        _ => {}
    }
    inner + 1
}

/// What a function named for remedies says is heard, wherever it is.
fn function(rest: &[TokenTree], place: Place, found: &mut Vec<(String, bool)>) -> usize {
    let name = rest.first().map(ToString::to_string).unwrap_or_default();
    let is_end = |it: &TokenTree| match it {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        it => it.to_string() == ";",
    };
    let Some(end) = rest.iter().position(is_end) else { return 0 };
    if let Some(TokenTree::Group(body)) = rest.get(end) {
        let heard = place.heard || name.contains("remedy");
        walk(body.stream(), Place { heard, within: Within::Code }, found);
    }
    end + 1
}

fn call(name: &str, is_macro: bool, arguments: &Group, fault: bool, place: Place, found: &mut Vec<(String, bool)>) {
    let within = match name {
        "counted" => Within::Counted,
        "new" if fault => Within::Fault,
        _ => Within::Code,
    };
    let place = Place { heard: place.heard || name == "with_remedy", within };
    if UNHEARD.contains(&name) {
        return;
    }
    if is_macro && FORMATTING.contains(&name) {
        formatted(arguments.stream(), place, found);
    } else {
        walk(arguments.stream(), place, found);
    }
}

fn formatted(stream: TokenStream, place: Place, found: &mut Vec<(String, bool)>) {
    let mut tokens = stream.into_iter();
    for token in tokens.by_ref() {
        if let TokenTree::Literal(literal) = &token
            && note(&literal.to_string(), true, place, found)
        {
            break;
        }
    }
    walk(tokens.collect(), place, found);
}

/// Takes note of a literal, if it is a text.
fn note(source: &str, is_format: bool, place: Place, found: &mut Vec<(String, bool)>) -> bool {
    let Ok(syn::Lit::Str(literal)) = syn::parse_str::<syn::Lit>(source) else { return false };
    let text = if is_format { without_arguments(&literal.value()) } else { literal.value() };
    if place.within == Within::Counted {
        found.extend([format!("1 {text}"), format!("{{}} {text}s")].map(|text| (text, place.heard)));
        return true;
    }
    let pieces: Vec<String> = if is_sql(&text) {
        // Texts that SQL puts into the ledger.
        text.split('\'').skip(1).step_by(2).map(trimmed).collect()
    } else {
        text.split('\n').map(trimmed).collect()
    };
    for piece in pieces {
        let single = place.within == Within::Fault && piece.bytes().all(|byte| byte.is_ascii_lowercase());
        let heard = place.heard && (single && !piece.is_empty() || is_prose(&piece));
        found.push((piece, heard));
    }
    true
}

/// A format with `{}` for each argument; two in a row are one, as nothing tells them apart.
fn without_arguments(format: &str) -> String {
    let mut text = String::new();
    let mut rest = format.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '{' | '}' if rest.peek() == Some(&character) => {
                rest.next();
                text.push(character);
            }
            '{' => {
                rest.by_ref().take_while(|&it| it != '}').for_each(drop);
                text.push_str("{}");
            }
            other => text.push(other),
        }
    }
    text.replace("{}{}", "{}")
}

/// A piece without what joins it to others.
fn trimmed(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_prefix([',', ';', ':']).filter(|rest| rest.starts_with(' ')).unwrap_or(text).trim();
    let text = text.strip_suffix([',', ';', ':']).unwrap_or(text);
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    inner.filter(|inner| !inner.contains(['(', ')'])).unwrap_or(text).to_owned()
}

fn is_sql(text: &str) -> bool {
    text.split(|it: char| !it.is_ascii_alphanumeric()).any(|word| SQL.contains(&word))
}

/// Whether people would read it: two words beside one another, or one and what varies.
fn is_prose(text: &str) -> bool {
    let spoken = |word: &str| {
        let word = word.trim_matches(|it: char| !it.is_ascii_alphanumeric());
        word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic() || b"'-".contains(&byte))
    };
    let parts: Vec<&str> = text.split(' ').collect();
    let beside = parts.windows(2).any(|pair| spoken(pair[0]) && spoken(pair[1]));
    let with_hole = parts.len() > 1 && text.contains("{}") && parts.iter().any(|word| spoken(word));
    beside || with_hole
}
