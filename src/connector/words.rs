//! What a platform says, made fit for a log: on one line, without markup, and not too long.

/// Characters that are shown.
const SHOWN: usize = 200;

/// One line without control characters, shortened.
pub(super) fn shown(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(4 * SHOWN).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a page says, less its markup.
pub(super) fn summary(text: &str) -> String {
    let mut inside = false;
    let plain: String = text
        .chars()
        .filter(|&c| {
            match c {
                '<' => inside = true,
                '>' if inside => {
                    inside = false;
                    return false;
                }
                _ => {}
            }
            !inside
        })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect()
}
