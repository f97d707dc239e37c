//! Acknowledgements and PES-Retour: values stand in attributes `V`, names have no namespace but the root's.

use std::io::{self, Read};

use serde_json::{Map, Value, json};

use super::elements::{Element, Elements};
use super::{Kind, MOST, Summary};

/// What both forms begin with.
#[derive(Default)]
struct Head {
    kind: Option<String>,
    nom_fic: Option<String>,
    id_coll: Option<String>,
}

impl Head {
    fn take(&mut self, path: &[String], value: Option<String>) {
        let place = match path {
            [envelope, parameters, name] if envelope == "Enveloppe" && parameters == "Parametres" => {
                match name.as_str() {
                    "TypFic" => &mut self.kind,
                    "NomFic" => &mut self.nom_fic,
                    _ => return,
                }
            }
            [head, name] if head == "EnTetePES" && name == "IdColl" => &mut self.id_coll,
            _ => return,
        };
        *place = place.take().or(value).filter(|value| !value.is_empty());
    }
}

/// An error of an acknowledgement; its place is filled in once that is known.
#[derive(Default)]
struct Fault {
    bordereau: Option<String>,
    piece: Option<String>,
    ligne: Option<String>,
    code: Option<String>,
    label: Option<String>,
}

impl Fault {
    fn json(&self) -> Value {
        let parts = [("bordereau", &self.bordereau), ("piece", &self.piece), ("ligne", &self.ligne)];
        let known = parts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?.into())));
        json!({ "place": known.collect::<Map<_, _>>(), "code": self.code, "label": self.label })
    }
}

/// An element that errors stand in, and what it says of their place.
#[derive(Default)]
struct Level {
    /// The first error in it.
    first: usize,
    piece: Option<String>,
    ligne: Option<String>,
}

/// The errors read so far, and how many there are.
#[derive(Default)]
struct Faults {
    kept: Vec<Fault>,
    count: usize,
    /// The present element, piece and line.
    element: Level,
    piece: Level,
    line: Level,
    bordereau: Option<String>,
    unique: Option<String>,
}

/// Reads an acknowledgement, whose root has been read; one of the older form that refuses says so by its root.
pub(super) fn acquittement<R: Read>(elements: &mut Elements<R>, mut accepted: bool) -> io::Result<Summary> {
    let (mut head, mut faults, mut path) = (Head::default(), Faults::default(), Vec::<String>::new());
    // An element that does not say that it is accepted is not.
    let mut stated = false;
    while let Some(element) = elements.next()? {
        match element {
            Element::Opened { name, value } => {
                path.push(name);
                faults.opened(&path);
                faults.take(&path, value.as_ref());
                match path.last().map(String::as_str) {
                    Some("ElementACQUIT") => stated = false,
                    Some("EtatAck") => {
                        stated = true;
                        accepted &= value.as_deref().map(str::trim) == Some("1");
                    }
                    _ => {}
                }
                head.take(&path, value);
            }
            Element::Closed { .. } => {
                if path.last().is_some_and(|name| name == "ElementACQUIT") {
                    accepted &= stated;
                }
                faults.closed(&path);
                path.pop();
            }
        }
    }
    let labels = || faults.kept.iter().filter_map(|fault| fault.label.clone().or(fault.code.clone())).collect();
    let mut json = json!({
        "kind": "acquittement",
        "nom_fic": head.nom_fic,
        "id_coll": head.id_coll,
        "accepted": accepted,
        "errors": faults.kept.iter().map(Fault::json).collect::<Vec<_>>(),
    });
    if faults.count > faults.kept.len() {
        json["more_errors"] = (faults.count - faults.kept.len()).into();
    }
    let rejected = (!accepted).then(labels);
    Ok(Summary { kind: Kind::Acquittement, nom_fic: head.nom_fic, rejected, json })
}

impl Faults {
    fn opened(&mut self, path: &[String]) {
        let level = || Level { first: self.kept.len(), ..Level::default() };
        match path.last().map(String::as_str) {
            Some("ElementACQUIT") => {
                (self.element, self.bordereau, self.unique) = (level(), None, None);
            }
            Some("DetailPiece") => self.piece = level(),
            Some("DetailLigne") => self.line = level(),
            Some("Erreur") => {
                self.count += 1;
                if self.count <= MOST {
                    self.kept.push(Fault::default());
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, path: &[String], value: Option<&String>) {
        let Some(value) = value.filter(|value| !value.is_empty()) else { return };
        let [.., parent, name] = path else { return };
        let open = self.count <= MOST;
        match (parent.as_str(), name.as_str()) {
            ("Erreur", "NumAnoAck") if open => self.last(|fault| fault.code = Some(value.clone())),
            ("Erreur", "LibelleAnoAck") if open => self.last(|fault| fault.label = Some(value.clone())),
            ("ElementACQUIT", "NumBord") => self.bordereau = Some(value.clone()),
            ("ElementACQUIT", "IdUnique") => self.unique = Some(value.clone()),
            // In some, piece and line stand beside the error.
            ("ElementACQUIT", "NumPiece" | "NumPce") => self.element.piece = Some(value.clone()),
            ("ElementACQUIT", "NumLigne" | "NumLig") => self.element.ligne = Some(value.clone()),
            ("DetailPiece", "NumPiece" | "NumPce") => self.piece.piece = Some(value.clone()),
            ("DetailPiece", "NumLigne" | "NumLig") => self.piece.ligne = Some(value.clone()),
            ("DetailLigne", "NumLigne" | "NumLig") => self.line.ligne = Some(value.clone()),
            _ => {}
        }
    }

    fn last(&mut self, change: impl FnOnce(&mut Fault)) {
        if let Some(fault) = self.kept.last_mut() {
            change(fault);
        }
    }

    /// What an element says of its place holds for all errors in it, wherever they stand.
    fn closed(&mut self, path: &[String]) {
        let level = match path.last().map(String::as_str) {
            Some("DetailLigne") => &self.line,
            Some("DetailPiece") => &self.piece,
            Some("ElementACQUIT") => &self.element,
            _ => return,
        };
        let whole = path.last().is_some_and(|name| name == "ElementACQUIT");
        for fault in self.kept.iter_mut().skip(level.first) {
            if whole {
                fault.bordereau = self.bordereau.clone().or(self.unique.clone());
            }
            // What the element as a whole names is not where a piece or a line of it has its own errors.
            if !whole || (fault.piece.is_none() && fault.ligne.is_none()) {
                fault.piece = fault.piece.take().or(level.piece.clone());
                fault.ligne = fault.ligne.take().or(level.ligne.clone());
            }
        }
    }
}

/// Reads the head of a PES of this `kind` (`word` in the ledger), whose root has been read.
pub(super) fn flow<R: Read>(elements: &mut Elements<R>, kind: Kind, word: &str) -> io::Result<Summary> {
    let (mut head, mut path) = (Head::default(), Vec::<String>::new());
    while let Some(element) = elements.next()? {
        match element {
            Element::Opened { name, value } => {
                path.push(name);
                head.take(&path, value);
            }
            Element::Closed { .. } => {
                // The head is over with its last element: the rest may be long.
                if path.len() == 1 && path[0] == "EnTetePES" {
                    break;
                }
                path.pop();
            }
        }
    }
    let json = json!({
        "kind": word,
        "type": head.kind,
        "nom_fic": head.nom_fic,
        "id_coll": head.id_coll,
    });
    Ok(Summary { kind, nom_fic: head.nom_fic, rejected: None, json })
}
