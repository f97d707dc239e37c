//! What a platform says, made fit for a log: on one line, without markup, and not too long.

use crate::words::plain;

/// Characters that are shown.
const SHOWN: usize = 200;

/// One line without what is hidden, shortened.
pub(super) fn shown(text: &str) -> String {
    plain(&text.chars().take(4 * SHOWN).collect::<String>())
}

/// What a page says, less its markup: one line without control characters, shortened.
pub(super) fn summary(text: &str) -> String {
    let mut inside = false;
    let bare: String = text
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
    plain(&bare).chars().take(SHOWN).collect()
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
