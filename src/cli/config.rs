//! `vaguemestre config`: the effective configuration, every default included.

use std::io::Write as _;

use super::{Context, Outcome, exit};

pub(super) fn execute(context: &Context) -> Outcome {
    let settings = match context.settings() {
        Ok(settings) => settings,
        Err(code) => return Ok(code),
    };
    std::io::stdout().write_all(crate::config::render(&settings).as_bytes())?;
    Ok(exit::DONE)
}
