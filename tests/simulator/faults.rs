//! Each way of misbehaving is seen by a client as it is meant to be, and leaves the right traces.

use std::time::Duration;

use tokio::time::timeout;
use vaguemestre::feed::Kind;
use vaguemestre::simulator::{Fault, Matcher, Times};

use super::{PATIENCE, SIREN, Seen, document, house};

#[tokio::test]
async fn a_body_that_breaks_off_leaves_its_document_on_the_list() {
    let house = house().await;
    let broken = Seen::BrokenBody(200);
    assert_eq!(house.with_fault(Fault::CutWithLength(20_000)).await, broken);
    assert_eq!(house.with_fault(Fault::CutChunked(20_000)).await, broken);
    assert_eq!(house.with_fault(Fault::CutChunked(0)).await, broken);
    assert_eq!(house.with_fault(Fault::ResetAfter(20_000)).await, Seen::Reset);
    assert_eq!(house.with_fault(Fault::TruncatedTls(20_000)).await, broken);
    assert_eq!(house.with_fault(Fault::CutWithoutLength(20_000)).await, Seen::Whole(200, document()[..20_000].into()));
    assert!(house.waits());
    let records = house.platform.requests();
    assert!(records.iter().all(|record| !record.completed && record.status == Some(200)));
    assert!(records.iter().filter(|record| record.sent == 20_000).count() == 5);
    assert_eq!(house.download("1").await, Seen::Whole(200, document()));
    assert!(!house.waits());
}

#[tokio::test]
async fn a_platform_that_consumes_on_start_loses_interrupted_documents() {
    let house = house().await;
    house.platform.adjust(|it| it.consume_on_start = true);
    assert!(matches!(house.with_fault(Fault::RetryAfter(503, 7)).await, Seen::Whole(503, _)));
    assert!(house.waits());
    assert_eq!(house.with_fault(Fault::CutWithLength(10)).await, Seen::BrokenBody(200));
    assert!(!house.waits());
}

#[tokio::test]
async fn answers_that_are_not_the_document_do_not_collect_it() {
    let house = house().await;
    let text = |seen: Seen| match seen {
        Seen::Whole(200, body) => String::from_utf8(body).unwrap(),
        other => panic!("{other:?}"),
    };
    assert!(text(house.with_fault(Fault::HtmlWith200).await).starts_with("<!DOCTYPE html>"));
    assert!(text(house.with_fault(Fault::DoctypeXml).await).contains("<!ENTITY"));
    assert_eq!(text(house.with_fault(Fault::Empty200).await), "");
    assert_eq!(text(house.with_fault(Fault::Replace("other".into())).await), "other");
    assert!(text(house.with_fault(Fault::JsonErrorWith200("Oops".into())).await).contains(r#""Oops""#));
    let fault = Fault::Status(418, "tea".into(), vec![("X-Pot".into(), "short".into())]);
    assert_eq!(house.with_fault(fault).await, Seen::Whole(418, b"tea".to_vec()));
    assert!(house.waits());
}

#[tokio::test]
async fn headers_of_faults_reach_the_client() {
    let house = house().await;
    house.platform.put(SIREN, Kind::Acquittements, 1, document());
    let header = async |fault: Fault, name: &str| {
        house.platform.set_fault(Matcher::any(), fault, Times::Once);
        let answer = house.client.get(house.url("1", "ack", "download")).send().await.unwrap();
        (answer.status().as_u16(), answer.headers()[name].to_str().unwrap().to_owned())
    };
    assert_eq!(header(Fault::Redirect("https://x.test/".into()), "location").await, (302, "https://x.test/".into()));
    assert_eq!(header(Fault::RetryAfter(503, 120), "retry-after").await, (503, "120".into()));
    assert_eq!(header(Fault::GzipNonsense, "content-encoding").await, (200, "gzip".into()));
    assert_eq!(header(Fault::HugeHeaders(20_000), "x-padding").await.1.len(), 20_000);
    assert_eq!(header(Fault::Endless { with_length: true }, "content-length").await.1, (1_u64 << 50).to_string());
    house.platform.adjust(|it| it.download_headers = vec![("Content-Disposition".into(), "attachment".into())]);
    assert_eq!(header(Fault::WrongLength(9), "content-disposition").await.1, "attachment");
}

#[tokio::test]
async fn a_wrong_length_breaks_the_body_or_shortens_it() {
    let house = house().await;
    assert_eq!(house.with_fault(Fault::WrongLength(70_000)).await, Seen::BrokenBody(200));
    assert_eq!(house.with_fault(Fault::WrongLength(59_000)).await, Seen::Whole(200, document()[..59_000].into()));
}

#[tokio::test]
async fn a_silent_platform_stays_silent_until_the_client_goes() {
    let house = house().await;
    let short = Duration::from_millis(150);
    house.platform.put(SIREN, Kind::Acquittements, 1, document());
    for fault in [Fault::Hang, Fault::HangAfter(100), Fault::Endless { with_length: false }] {
        house.platform.set_fault(Matcher::downloads(), fault.clone(), Times::Once);
        assert_eq!(house.see(house.url("1", "ack", "download"), short).await, Seen::Silence, "{fault:?}");
    }
    let over = house.platform.wait_for(|records| records.iter().all(|record| record.finished_at.is_some()));
    timeout(PATIENCE, over).await.unwrap();
    let records = house.platform.requests();
    assert_eq!(records.iter().map(|record| record.status).collect::<Vec<_>>(), [None, Some(200), Some(200)]);
    assert!(records.iter().all(|record| !record.completed) && house.waits());
    assert!(records[1].sent == 100 && records[2].sent > 60_000);
    house.platform.adjust(|it| it.hold_handshakes = true);
    assert_eq!(house.see(house.url("1", "ack", "download"), short).await, Seen::Silence);
}

#[tokio::test]
async fn a_slow_platform_takes_the_time_it_was_told_to() {
    let house = house().await;
    let pause = Duration::from_millis(10);
    assert_eq!(house.with_fault(Fault::Drip { bytes: 6_000, every: pause }).await, Seen::Whole(200, document()));
    assert_eq!(house.with_fault(Fault::SlowHeaders(Duration::from_millis(1))).await, Seen::Whole(200, document()));
    house.platform.adjust(|it| it.latency = 10 * pause);
    assert_eq!(house.list().await, "[]");
    for record in house.platform.requests() {
        assert!(record.completed && record.finished_at.unwrap() - record.started_at >= 10 * pause, "{record:?}");
    }
}

#[tokio::test]
async fn a_reset_before_the_answer_is_no_answer() {
    let house = house().await;
    assert_eq!(house.with_fault(Fault::Reset).await, Seen::Reset);
    assert_eq!(house.platform.requests()[0].status, None);
}

#[tokio::test]
async fn a_client_that_leaves_midway_has_not_collected() {
    let house = house().await;
    house.platform.put(SIREN, Kind::Acquittements, 1, vec![b'x'; 50_000_000]);
    let mut answer = house.client.get(house.url("1", "ack", "download")).send().await.unwrap();
    answer.chunk().await.unwrap();
    drop(answer);
    let over = house.platform.wait_for(|records| records[0].finished_at.is_some());
    timeout(PATIENCE, over).await.unwrap();
    let record = &house.platform.requests()[0];
    assert!(house.waits() && !record.completed && (1..50_000_000).contains(&record.sent), "{record:?}");
}

#[tokio::test]
async fn faults_strike_whom_they_are_meant_for_as_often_as_they_are_meant_to() {
    let house = house().await;
    house.platform.put(SIREN, Kind::Acquittements, 1, &b"one"[..]);
    house.platform.put(SIREN, Kind::Acquittements, 2, &b"two"[..]);
    let status = |status| Fault::Status(status, "".into(), Vec::new());
    house.platform.set_fault(Matcher::download(1), status(501), Times::N(2));
    house.platform.set_fault(Matcher::downloads(), status(502), Times::Once);
    house.platform.set_fault(Matcher::listing("999999999", Kind::Acquittements), status(503), Times::Always);
    house.platform.set_fault(Matcher { siren: Some(SIREN.into()), ..Matcher::downloads() }, status(504), Times::Always);
    let mut seen = Vec::new();
    for id in ["1", "2", "1", "1", "3"] {
        let Seen::Whole(status, _) = house.download(id).await else { panic!("no answer") };
        seen.push(status);
    }
    assert_eq!(seen, [501, 502, 501, 504, 500]);
    assert_eq!(house.list().await, "[1,2]");
    house.platform.clear_faults();
    assert_eq!(house.download("1").await, Seen::Whole(200, b"one".to_vec()));
}
