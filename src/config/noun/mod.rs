//! The nouns values are made of. Each reads itself (`parse`, whose error says what is wrong), writes itself (`show`,
//! which `parse` reads back), and serves serde as the text it shows.

pub(super) mod file_mode;
pub(super) mod listen;
pub(super) mod percent;
pub(super) mod rate;
pub(super) mod size;
pub(super) mod span;
pub(super) mod window;
