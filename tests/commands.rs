//! Commands without a daemon: one at a time works on the state directory, and none is taken for a daemon.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use common::Town;
use vaguemestre::simulator::{Call, Fault, Matcher, Times};

#[tokio::test]
async fn a_command_waits_for_another_and_then_does_its_work_itself() {
    let town = Town::by_hand("timeout = \"2s\"", "", "").await;
    let bytes = town.put(1);
    town.platform.set_fault(Matcher::download(1), Fault::HangAfter(100), Times::Once);
    let meanwhile = async {
        let asked = |records: &[vaguemestre::simulator::Record]| {
            records.iter().any(|record| record.call == Some(Call::Download))
        };
        town.platform.wait_for(asked).await;
        let status = town.say(&["status"]).await;
        assert!(status.code == 1 && status.out.contains("NOT RUNNING"), "{status:?}");
        let daemon = town.say(&["run"]).await;
        assert!(daemon.code == 1 && daemon.err.contains("(command)"), "{daemon:?}");
        assert!(daemon.err.contains("wait until that command has ended"), "{daemon:?}");
        town.poll().await
    };
    let (first, second) = tokio::join!(town.poll(), meanwhile);
    assert_eq!(first.code, 75, "{first:?}");
    assert_eq!(second.code, 0, "{second:?}");
    assert!(second.err.contains("waiting for another command to end: process"), "{second:?}");
    assert_eq!(std::fs::read(town.in_inbox(1)).unwrap(), bytes);
    assert_eq!(town.value("SELECT count(*) FROM requests").await, "0");
}

#[tokio::test]
async fn a_daemon_is_asked_whichever_command_comes() {
    let town = Town::with_interval("30m").await;
    let daemon = town.start().await;
    let (poll, retry) = tokio::join!(town.poll(), town.say(&["retry", "fast/mairie/chorus", "7"]));
    assert_eq!(poll.code, 0, "{poll:?}");
    assert!(retry.out.contains("the ledger knows no such document"), "{retry:?}");
    assert_eq!(town.value("SELECT count(*) FROM requests WHERE state = 'done'").await, "2");
    assert!(daemon.stop().await.success());
}
