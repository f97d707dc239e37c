//! A town that collects over WebDAV, one pass at a time.

use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Call, Record};

use super::by_hand::Said;
use super::{SIREN, Town, sample};

/// Account `mairie`, with `account` in its table and `tables` at the end.
pub async fn town(account: &str, tables: &str) -> Town {
    let town = Town::bare().await;
    let mairie = town.account("mairie", SIREN, Standing::Valid);
    town.configure("1ms", "connector = \"webdav\"\n", &format!("{mairie}{account}\n{tables}"));
    town.platform.make_folder(SIREN, "PES");
    town
}

/// Changes the configuration.
pub fn reconfigure(town: &Town, old: &str, new: &str) {
    let text = std::fs::read_to_string(town.config()).unwrap();
    assert!(text.contains(old), "{text}");
    std::fs::write(town.config(), text.replace(old, new)).unwrap();
}

pub fn acquittement(number: u64) -> Vec<u8> {
    sample(Kind::Acquittements, number, 2000)
}

/// The platform's record of such calls.
pub fn of(town: &Town, call: Call) -> Vec<Record> {
    town.platform.requests().into_iter().filter(|record| record.call == Some(call)).collect()
}

/// A pass over all feeds, which succeeds.
pub async fn ok(town: &Town) -> Said {
    let said = town.poll().await;
    assert_eq!(said.code, 0, "{said:?}");
    said
}
