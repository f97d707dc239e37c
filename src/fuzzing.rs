//! Doors to what is private, for the fuzz targets in `fuzz/`; compiled with `--cfg fuzzing` only.
//!
//! A door is a file of the folder `fuzzing`, mounted as a child of the module that it opens: so nothing there has to be
//! visible to more than it was. Each holds thin functions of plain types, and no rule of its own.

pub use crate::connector::entreprise::fuzzing as entreprise;
pub use crate::connector::fast::soap::fuzzing as soap;
pub use crate::connector::fast::webdav::fuzzing as webdav;
pub use crate::quota::fuzzing as quota;
