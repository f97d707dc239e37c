//! Tokens for other programs of the machine.
