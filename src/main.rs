//! The command `vaguemestre`.

fn main() {}
