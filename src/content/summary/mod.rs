//! What a return says: which deposit an acknowledgement is about, whether it was refused and why, whose invoices a flow holds.
//!
//! A return was checked before; here it is only read, as a stream, and what is taken of it is limited: however large its
//! attachments, little is held. What cannot be read is no fault: the document is kept all the same.

mod chorus;
mod elements;
mod pes;

use std::io::{self, Read, Seek, SeekFrom};

use serde_json::Value;

use self::elements::{Element, Elements};
use super::transcode::Charset;

/// How much is read to tell the encoding.
const HEAD: u64 = 1024;
/// Errors or invoices that are taken; of more, only the number.
const MOST: usize = 1000;

/// A kind of return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An Hélios acknowledgement.
    Acquittement,
    /// A PES-Retour.
    PesRetour,
    /// A deposit of the ordonnateur, signed.
    PesAller,
    /// A flow of Chorus Pro.
    Chorus,
}

/// What a return says, as far as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// What it is.
    pub kind: Kind,
    /// The name that a deposit or a PES-Retour gives itself (`NomFic`): what matches an acknowledgement with its deposit.
    pub nom_fic: Option<String>,
    /// Of an acknowledgement that refuses its deposit, the labels of its errors.
    pub rejected: Option<Vec<String>>,
    /// All of it, for the ledger.
    pub json: Value,
}

/// Reads what the well-formed XML in `reader` says; `None` where it is no return that is known.
///
/// # Errors
/// Only what `reader` fails with.
pub fn summarise<R: Read + Seek>(mut reader: R) -> io::Result<Option<Summary>> {
    reader.rewind()?;
    let mut head = Vec::new();
    (&mut reader).take(HEAD).read_to_end(&mut head)?;
    let Ok(charset) = Charset::of(&head) else { return Ok(None) };
    reader.seek(SeekFrom::Start(charset.bom_bytes()))?;
    let mut elements = Elements::new(reader, &charset);
    let Some(Element::Opened { name, .. }) = elements.next()? else { return Ok(None) };
    // Both cases are seen, even of one name.
    match name.to_ascii_lowercase().as_str() {
        "pes_acquit" => pes::acquittement(&mut elements, true).map(Some),
        // The older form has a root of its own for what was not taken.
        "pes_nonacquit" => pes::acquittement(&mut elements, false).map(Some),
        "pes_retour" => pes::flow(&mut elements, Kind::PesRetour, "pes_retour").map(Some),
        // What was deposited, and comes back signed.
        "pes_aller" => pes::flow(&mut elements, Kind::PesAller, "pes_aller").map(Some),
        "cppfacturepivot" | "cppfactures" => chorus::flow(&mut elements, false).map(Some),
        "cppfacturepivotunitaire" => chorus::flow(&mut elements, true).map(Some),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests;
