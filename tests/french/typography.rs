//! French signs of two parts stand behind a space that does not break, and guillemets keep theirs.

use crate::{nothing, read};

const FILES: [&str; 9] = [
    "README.fr.md",
    "docs/operations.fr.md",
    "docs/man/vaguemestre.fr.1",
    "docs/man/vaguemestre.toml.fr.5",
    "config/fr/vaguemestre.toml",
    "config/fr/conf.d/fast.toml",
    "config/fr/conf.d/douane.toml",
    "config/fr/conf.d/piste.toml",
    "config/fr/conf.d/entreprise.toml",
];

#[test]
fn no_line_breaks_before_a_sign_or_within_guillemets() {
    let mut amiss = Vec::new();
    for file in FILES {
        let mut code = false;
        for (number, line) in read(file).lines().enumerate() {
            let fence = line.trim_start().starts_with("```");
            code ^= fence;
            // What may be copied to a terminal or a file keeps its plain spaces.
            let option = file.ends_with(".toml") && (!line.starts_with("# ") || line.contains(" = \""));
            let prose = !code && !fence && !option;
            let text = without_code(line, file.ends_with(".md"));
            let wrong =
                [" :", " ;", " !", " ?", " »", "« "].into_iter().find(|sign| prose && stands_alone(&text, sign));
            if let Some(sign) = wrong {
                amiss.push(format!("{file}:{}: «{sign}» wants a no-break space (U+00A0): {line}", number + 1));
            }
        }
    }
    nothing(&amiss);
}

/// A sign that is not part of something longer, such as `!=` or `::`.
fn stands_alone(text: &str, sign: &str) -> bool {
    text.match_indices(sign).any(|(at, _)| !matches!(text.as_bytes().get(at + sign.len()), Some(b'=' | b':' | b'/')))
}

/// The line with what stands in backquotes taken out.
fn without_code(line: &str, markdown: bool) -> String {
    if !markdown {
        return line.to_owned();
    }
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}
