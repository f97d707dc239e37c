//! Flows of Chorus Pro: values stand in the text of elements, and attachments of any size beside them.

use std::io::{self, Read};

use serde_json::{Value, json};

use super::elements::{Element, Elements};
use super::{Kind, MOST, Summary};

/// An invoice.
#[derive(Default)]
struct Invoice {
    id: Option<String>,
    id_cpro: Option<String>,
    name: Option<String>,
    identifier: Option<String>,
    amount: Option<String>,
    net: Option<String>,
}

impl Invoice {
    fn take(&mut self, path: &[&str], text: String) {
        let place = match path {
            ["DonneesFacture", "Id"] => &mut self.id,
            ["DonneesFacture", "IdCPRO"] => &mut self.id_cpro,
            ["Fournisseur", "RaisonSociale"] => &mut self.name,
            ["Fournisseur", "Identifiant"] => &mut self.identifier,
            ["DonneesFacture", "Montants", "MontantTTC"] => &mut self.amount,
            ["DonneesFacture", "Montants", "MontantNetAPayer"] => &mut self.net,
            _ => return,
        };
        *place = place.take().or(Some(text)).filter(|text| !text.is_empty());
    }

    /// The supplier by name, else by number; the amount with tax, else what is to be paid.
    fn json(self) -> Value {
        json!({
            "id": self.id,
            "id_cpro": self.id_cpro,
            "supplier": self.name.or(self.identifier),
            "amount": self.amount.or(self.net),
        })
    }
}

/// Reads a flow, whose root has been read: that of a single invoice where `single`.
pub(super) fn flow<R: Read>(elements: &mut Elements<R>, single: bool) -> io::Result<Summary> {
    let (mut invoices, mut count, mut path) = (Vec::new(), 0_usize, Vec::<String>::new());
    let mut invoice = single.then(|| (0, Invoice::default()));
    while let Some(element) = elements.next()? {
        match element {
            Element::Opened { name, .. } => {
                if invoice.is_none() && name == "CPPFacturePivotUnitaire" {
                    invoice = Some((path.len() + 1, Invoice::default()));
                }
                path.push(name);
            }
            Element::Closed { text } => {
                if let Some((depth, open)) = &mut invoice
                    && path.len() > *depth
                {
                    open.take(&path[*depth..].iter().map(String::as_str).collect::<Vec<_>>(), text);
                }
                path.pop();
                if let Some((_, done)) = invoice.take_if(|(depth, _)| path.len() < *depth) {
                    count += 1;
                    if invoices.len() < MOST {
                        invoices.push(done.json());
                    }
                }
            }
        }
    }
    if let Some((_, done)) = invoice {
        count += 1;
        invoices.push(done.json());
    }
    let more = count - invoices.len();
    let mut json = json!({ "kind": "chorus", "invoices": invoices });
    if more > 0 {
        json["more_invoices"] = more.into();
    }
    Ok(Summary { kind: Kind::Chorus, nom_fic: None, rejected: None, json })
}
