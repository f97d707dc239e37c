//! A ledger being made, and copied aside.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::clock::BootTime;
use crate::ledger::{KeptToken, TokenRow};

#[tokio::test]
async fn a_ledger_that_is_being_made_is_none_yet_for_whoever_looks_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    prepare(folder.path(), &path).unwrap();
    let mut connection = options(&path).connect().await.unwrap();
    migrate(&mut connection, &path, true).await.unwrap();
    let looked = Ledger::open_reading(folder.path()).await;
    assert!(matches!(looked, Err(LedgerError::Missing(_))), "{:?}", looked.err());
    seed(&mut connection, "2026-11-22T10:00:00Z".parse().unwrap()).await.unwrap();
    assert!(Ledger::open_reading(folder.path()).await.is_ok());
}

#[tokio::test]
async fn the_copy_made_before_a_migration_holds_no_token_and_is_closed_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let now = "2026-11-22T10:00:00Z".parse().unwrap();
    let ledger = Ledger::open(folder.path(), now).await.unwrap();
    let asked = (now, BootTime { id: String::new(), elapsed: Duration::ZERO });
    let token = KeptToken { access_token: "very-secret-token".into(), asked, life: Duration::from_secs(300) };
    let row = TokenRow { identity: "i".to_owned(), token: Some(token), trouble: None };
    ledger.record_token("douane/siege", row, None, now).await.unwrap();
    ledger.close().await;
    let path = folder.path().join(FILE);
    let mut connection = options(&path).connect().await.unwrap();
    copy_aside(&mut connection, &path, 2).await.unwrap();
    let copy = folder.path().join("ledger.sqlite.before-3");
    assert_eq!(copy.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let holds = |file: &Path| std::fs::read(file).unwrap().windows(17).any(|bytes| bytes == b"very-secret-token");
    assert!(holds(&path), "the ledger keeps it");
    for entry in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        let of_the_copy = entry.file_name().to_string_lossy().contains("before");
        assert!(!of_the_copy || !holds(&entry.path()), "{:?}", entry.file_name());
    }
}
