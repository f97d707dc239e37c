//! Text as roff wants it: nothing of it is taken for a request, an escape or another sign.

/// As wide as lines of a page's source are, in bytes.
const WIDTH: usize = 79;

/// A paragraph of prose, filled; what stands in `backquotes` is bold.
pub(super) fn paragraph(text: &str) -> String {
    let mut lines = vec![String::new()];
    let mut code = false;
    let text = unbroken(text);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word = prose(word, &mut code);
        let line = lines.last().map_or(0, String::len);
        match lines.last_mut() {
            Some(last) if line > 0 && line + 1 + word.len() <= WIDTH => {
                last.push(' ');
                last.push_str(&word);
            }
            Some(last) if line == 0 => *last = word,
            _ => lines.push(word),
        }
    }
    lines.iter().map(|line| text_line(line) + "\n").collect()
}

/// The text with spaces that do not break in inline tables: `{ file = "…" }`.
fn unbroken(text: &str) -> String {
    let mut inside = false;
    let keep = |character| match character {
        '{' | '}' => {
            inside = character == '{';
            character
        }
        ' ' if inside => '\u{a0}',
        other => other,
    };
    text.chars().map(keep).collect()
}

/// One word of prose. What is code, or looks like it, is to be typed: its hyphens stay, and it is not hyphenated.
fn prose(word: &str, code: &mut bool) -> String {
    let mut out = String::new();
    let inner = word.trim_start_matches(['"', '(']).trim_end_matches(['.', ',', ';', ':', ')', '"']);
    let typed = inner.starts_with('-') || word.contains('"') || inner.contains(['.', ':', '/', '=', '_']);
    if typed || *code || word.starts_with('`') {
        out.push_str(r"\%");
    }
    for character in word.chars() {
        match character {
            '`' => {
                out.push_str(if *code { r"\fR" } else { r"\fB" });
                *code = !*code;
            }
            '-' | '\'' if !*code && !typed => out.push(character),
            other => escape(other, &mut out),
        }
    }
    out
}

/// What is to be typed as it stands.
pub(super) fn literal(text: &str) -> String {
    let mut out = String::new();
    text.chars().for_each(|character| escape(character, &mut out));
    out
}

fn escape(character: char, out: &mut String) {
    match character {
        '\\' => out.push_str(r"\e"),
        '-' => out.push_str(r"\-"),
        '\'' => out.push_str(r"\(aq"),
        '^' => out.push_str(r"\(ha"),
        '~' => out.push_str(r"\(ti"),
        '`' => out.push_str(r"\(ga"),
        // Never broken, never stretched.
        '\u{a0}' => out.push_str(r"\~"),
        other => out.push(other),
    }
}

/// A line of text: what begins with a point or an apostrophe would be a request.
pub(super) fn text_line(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!(r"\&{line}") } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_taken_for_roff() {
        assert_eq!(paragraph("... no request"), "\\&... no request\n");
        assert_eq!(paragraph("'no request"), "\\&'no request\n");
        assert_eq!(paragraph(".TH is no request"), "\\%.TH is no request\n");
        assert_eq!(paragraph(r"C:\new l'autre ~x `^'`"), "\\%C:\\enew l'autre \\(tix \\%\\fB\\(ha\\(aq\\fR\n");
        let typed = "one-time \\%\\fB\\-\\-again\\fR and \\%\\-\\-dry\\-run\n";
        assert_eq!(paragraph("one-time `--again` and --dry-run"), typed);
        assert_eq!(paragraph("{ env = \"…\" }, or"), "\\%{\\~env\\~=\\~\"…\"\\~}, or\n");
        assert_eq!(paragraph("« a\u{a0}b »"), "« a\\~b »\n");
        assert_eq!(literal("a-b"), "a\\-b");
    }

    #[test]
    fn paragraphs_are_filled_and_no_line_of_theirs_is_a_request() {
        let text = format!("{} ...", "x".repeat(WIDTH));
        assert_eq!(paragraph(&text), format!("{}\n\\&...\n", "x".repeat(WIDTH)));
        assert!(paragraph(&"word ".repeat(100)).lines().all(|line| line.len() <= WIDTH));
    }
}
