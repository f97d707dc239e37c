//! What a platform says, made fit for a log: on one line, without markup, and not too long.

/// Characters that are shown.
const SHOWN: usize = 200;

/// One line without control characters, shortened.
pub(super) fn shown(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(4 * SHOWN).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What a page says, less its markup: one line without control characters, shortened.
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
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_one_line_that_no_terminal_takes_for_an_order() {
        let page = "<h1>Service</h1>\r\n<p>indisponible \u{1b}[31m\u{7}\u{0}</p>";
        assert_eq!(summary(page), "Service indisponible [31m");
        assert_eq!(shown("Service\u{1b}[2J\nindisponible"), "Service [2J indisponible");
    }
}
