//! What is no document, or may be no whole one, is set aside in the quarantine: nothing that has arrived is thrown away. All of
//! this blocks.

use std::io;
use std::path::Path;

use crate::archive::{layout, write};
use crate::ledger::Claimed;

/// Moves a file to the quarantine under `name` (or a numbered variant: nothing there is ever replaced), durably. One that
/// cannot be synced goes there all the same, as `….unsynced`, so that nobody takes it for safe later.
/// Answers its path relative to the state directory.
pub(super) fn set_aside(root: &Path, file: &Path, name: &str) -> io::Result<String> {
    if let Err(error) = write::sync_file(file) {
        move_aside(root, file, &format!("{name}.unsynced"))?;
        return Err(error);
    }
    let path = move_aside(root, file, name)?;
    write::sync_folder(&root.join(layout::QUARANTINE))?;
    Ok(path)
}

/// The same without a sync.
pub(super) fn move_aside(root: &Path, file: &Path, name: &str) -> io::Result<String> {
    let folder = root.join(layout::QUARANTINE);
    for number in 0..1000 {
        let name = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
        match write::place(file, &folder.join(&name)) {
            Ok(()) => return Ok(format!("{}/{name}", layout::QUARANTINE)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other(format!("{} holds a thousand files named {name}; clear it", folder.display())))
}

/// How what is set aside of `document` is called, less its ending.
pub(super) fn partial_stem(document: &Claimed) -> String {
    layout::safe_name(&format!("{}.{}", document.feed.as_str().replace('/', "."), document.remote_id))
}

/// How what came of a body that broke off is called.
pub(super) fn partial_name(document: &Claimed) -> String {
    format!("{}.part", partial_stem(document))
}
