//! A town that collects by one of the interfaces, and the platform as that shows it.

use std::collections::BTreeMap;

use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Record};

use super::{SIREN, Town, sample};

/// An interface under the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Rest,
    Soap,
    Webdav,
}

/// Bytes, as failures can show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Print(pub Vec<u8>);

impl std::fmt::Debug for Print {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sum = self.0.iter().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(*byte)));
        write!(f, "{} bytes {sum:08x}", self.0.len())
    }
}

/// A town that collects by one of the interfaces.
pub struct Shop {
    pub town: Town,
    pub way: Way,
}

impl Shop {
    pub async fn open(way: Way, interval: &str, fast: &str) -> Self {
        let town = Town::bare().await;
        let connector = match way {
            Way::Rest => "rest",
            Way::Soap => "soap",
            Way::Webdav => "webdav",
        };
        let mairie = town.account("mairie", SIREN, Standing::Valid);
        if way == Way::Webdav {
            for folder in ["PES", "PES_Retour", "chorus-pivot"] {
                town.platform.make_folder(SIREN, folder);
            }
        }
        town.configure(interval, &format!("connector = \"{connector}\"\n{fast}"), &mairie);
        Self { town, way }
    }

    /// The platform's name for a document.
    pub fn name(&self, kind: Kind, number: u64) -> String {
        if self.way != Way::Webdav {
            return number.to_string();
        }
        let folder = match kind {
            Kind::PesRetour => "PES_Retour",
            Kind::Chorus => "chorus-pivot",
            _ if number.is_multiple_of(2) => "PES/Été 2026 & 100%#+",
            _ => "PES",
        };
        format!("{folder}/retour n°{number}.xml")
    }

    pub fn put(&self, kind: Kind, number: u64, size: usize) -> Print {
        let bytes = sample(kind, number, size);
        match self.way {
            Way::Webdav => self.town.platform.put_file(SIREN, &self.name(kind, number), bytes.clone()),
            Way::Rest | Way::Soap => self.town.platform.put(SIREN, kind, number, bytes.clone()),
        }
        Print(bytes)
    }

    pub fn remove(&self, kind: Kind, number: u64) {
        match self.way {
            Way::Webdav => self.town.platform.remove_file(SIREN, &self.name(kind, number)),
            Way::Rest | Way::Soap => self.town.platform.remove(kind, number),
        }
    }

    /// What the platform still has for us.
    pub fn left(&self) -> Vec<String> {
        match self.way {
            Way::Webdav => self.town.platform.files(SIREN),
            Way::Rest | Way::Soap => {
                Kind::USUAL.iter().flat_map(|kind| self.town.platform.remaining(SIREN, *kind)).collect()
            }
        }
    }

    pub fn requests(&self, call: Call) -> Vec<Record> {
        self.town.platform.requests().into_iter().filter(|record| record.call == Some(call)).collect()
    }

    /// What is kept, by the platform's name: remote id without what tells versions apart, and bytes.
    pub async fn kept(&self) -> BTreeMap<String, Print> {
        let rows =
            self.town.query("SELECT remote_id, archive_path FROM documents WHERE archive_path IS NOT NULL").await;
        rows.into_iter()
            .map(|row| {
                (
                    row[0].split('@').next().unwrap().to_owned(),
                    Print(std::fs::read(self.town.state().join(&row[1])).unwrap()),
                )
            })
            .collect()
    }
}
