//! A power cut at any moment: the order in which things become durable is read off the system calls of a pass, not
//! believed.
#![cfg(feature = "simulator")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by a panic")]
#![allow(clippy::print_stdout, reason = "figures are told to whoever asks")]

mod common;

use common::gateway::Gateway;
use common::order::{Document, complaints};
use common::strace::{self, Call};
use common::{SIREN, Town, sample};
use vaguemestre::feed::Kind;
use vaguemestre::simulator::keys::Standing;
use vaguemestre::simulator::{Fault, Matcher, Times};

/// Documents that never leave memory before they have ended, and documents that spill.
const SIZES: [usize; 4] = [2_000, 90_000, 3_000, 200_000];
/// The document that is none.
const REFUSED: u64 = 7;

/// A first pass of a new installation, recorded.
struct Recorded {
    town: Town,
    calls: Vec<Call>,
    documents: Vec<Document>,
}

impl Recorded {
    async fn collect(connector: &str) -> Self {
        let town = Town::bare().await;
        let gateway = Gateway::open(&town).await;
        let mairie = town.account("mairie", SIREN, Standing::Valid);
        town.configure(
            "1ms",
            &format!("connector = \"{connector}\"\n"),
            &format!("{mairie}feeds = [\"acquittements\"]\n"),
        );
        let text = std::fs::read_to_string(town.config()).unwrap();
        std::fs::write(town.config(), text.replace(&town.platform.base_url(), &gateway.base_url())).unwrap();
        for (number, size) in (1..).zip(SIZES).chain([(REFUSED, 100)]) {
            let bytes = sample(Kind::Acquittements, number, size);
            match connector {
                "webdav" => town.platform.put_file(SIREN, &format!("PES/{number}.xml"), bytes),
                _ => town.platform.put(SIREN, Kind::Acquittements, number, bytes),
            }
        }
        let name = if connector == "webdav" { format!("PES/{REFUSED}.xml") } else { REFUSED.to_string() };
        town.platform.set_fault(Matcher::download(name), Fault::HtmlWith200, Times::Always);
        let record = town.folder.path().join("record");
        let command = strace::under(&strace::recording(&record), &town.command(&["poll", "fast/*"]));
        let output = strace::run(command).await;
        let complaint = common::complained(&output);
        assert_eq!(output.status.code(), Some(75), "one document fails: {complaint}");
        let calls = strace::parse(&String::from_utf8_lossy(&std::fs::read(&record).unwrap()));
        let documents = documents(&town, connector).await;
        assert_eq!(documents.iter().filter(|document| document.copy.is_some()).count(), SIZES.len(), "{complaint}");
        assert_eq!(documents.iter().filter(|document| document.quarantine_path.is_some()).count(), 1);
        Self { town, calls, documents }
    }

    fn complaints(&self, calls: &[Call]) -> Vec<String> {
        complaints(calls, &self.town.state(), &self.documents)
    }

    /// The checker complains about a record without the calls that `which` picks.
    fn misses(&self, what: &str, which: impl Fn(&Call) -> bool) {
        let doctored: Vec<Call> = self.calls.iter().filter(|call| !which(call)).cloned().collect();
        let removed = self.calls.len() - doctored.len();
        assert!(removed > 0, "no {what} in the record");
        assert_ne!(self.complaints(&doctored), Vec::<String>::new(), "{removed} calls removed: {what}");
    }

    /// It complains when the calls that `which` picks come last.
    fn misplaces(&self, what: &str, which: impl Fn(&Call) -> bool) {
        let mut doctored = self.calls.clone();
        let end = doctored.len() * 2;
        let mut moved = 0;
        for call in doctored.iter_mut().filter(|call| which(call)) {
            (call.begin, call.end) = (end + moved, end + moved);
            moved += 1;
        }
        doctored.sort_by_key(|call| call.begin);
        assert!(moved > 0, "no {what} in the record");
        assert_ne!(self.complaints(&doctored), Vec::<String>::new(), "{moved} calls come last: {what}");
    }
}

async fn documents(town: &Town, connector: &str) -> Vec<Document> {
    let rows = town
        .query("SELECT feed, remote_id, stem, archive_path, quarantine_path, state, released_at FROM documents")
        .await;
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    rows.iter()
        .map(|row| {
            let name = row[1].split('@').next().unwrap();
            let asked = match connector {
                "webdav" => format!("/partage/webdav/clients/{SIREN}/out/{name}"),
                _ => format!("/parapheur-ws/rest/v1/documents/v2/{name}/ack/download"),
            };
            Document {
                feed: row[0].clone(),
                remote_id: row[1].clone(),
                asked,
                stem: row[2].clone(),
                archive_path: some(&row[3]),
                quarantine_path: some(&row[4]),
                copy: copy(town, &row[1]).filter(|_| row[5] == "delivered"),
                released: !row[6].is_empty(),
            }
        })
        .collect()
}

/// Where the inbox has the copy of `remote_id`, relative to the state directory.
fn copy(town: &Town, remote_id: &str) -> Option<String> {
    let number: u64 = remote_id.split('@').next()?.trim_start_matches("PES/").trim_end_matches(".xml").parse().ok()?;
    let file = town.inbox_files().into_iter().find(|file| {
        let bytes = std::fs::read(town.inbox().join(file)).unwrap();
        SIZES.get(number as usize - 1).is_some_and(|size| bytes == sample(Kind::Acquittements, number, *size))
    })?;
    Some(format!("inbox/{}", file.display()))
}

async fn is_durable_in_order(connector: &str) {
    if !strace::is_here() {
        return;
    }
    let recorded = Recorded::collect(connector).await;
    assert_eq!(recorded.complaints(&recorded.calls), Vec::<String>::new());
    if connector == "webdav" {
        assert_eq!(recorded.documents.iter().filter(|document| document.released).count(), SIZES.len());
    }
    println!("{connector}: {} calls in order", recorded.calls.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn over_rest_each_step_is_durable_before_the_next_relies_on_it() {
    is_durable_in_order("rest").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_webdav_each_step_is_durable_before_the_next_relies_on_it() {
    is_durable_in_order("webdav").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checker_sees_what_is_missing_or_late_in_a_doctored_record() {
    if !strace::is_here() {
        return;
    }
    let it = Recorded::collect("webdav").await;
    assert_eq!(it.complaints(&it.calls), Vec::<String>::new());
    let state = it.town.state().display().to_string();
    let within = |call: &Call, part: &str| call.file().is_some_and(|file| file.starts_with(&format!("{state}/{part}")));
    let is_folder = |call: &Call| call.file().is_some_and(|file| std::path::Path::new(file).is_dir());
    // One document's file alone, and the same of all.
    let one = it.documents.iter().find_map(|document| document.archive_path.clone()).unwrap();
    let id = it.calls.iter().find(|call| call.renames() && call.strings()[1].ends_with(&one)).unwrap().strings()[0]
        .to_owned();
    it.misses("the sync of one file of the archive", |call| call.syncs() && call.file() == Some(&id));
    it.misses("syncs of the archive's folders", |call| call.syncs() && is_folder(call) && within(call, "archive/fast"));
    it.misses("syncs of the archive's root", |call| call.syncs() && call.file() == Some(&format!("{state}/archive")));
    it.misses("syncs of the quarantine", |call| call.syncs() && within(call, "archive/quarantine"));
    it.misses("syncs of the ledger's log", |call| call.syncs() && within(call, "ledger.sqlite-wal"));
    it.misses("syncs of the state directory", |call| call.syncs() && call.file() == Some(&state));
    it.misses("syncs of its parent", |call| call.syncs() && call.file() == it.town.folder.path().to_str());
    it.misses("syncs of copies", |call| call.syncs() && within(call, "inbox/.vaguemestre/"));
    it.misses("syncs of the inbox's folders", |call| call.syncs() && within(call, "inbox/fast"));
    it.misplaces("writes of what arrives", |call| call.writes() && within(call, "archive/.incoming"));
    it.misplaces("the sync of one file of the archive", |call| call.syncs() && call.file() == Some(&id));
    it.misplaces("renames in the archive", |call| {
        call.renames() && call.strings()[1].starts_with(&format!("{state}/archive/fast"))
    });
    it.misplaces("syncs of the inbox's folders", |call| call.syncs() && within(call, "inbox/fast"));
    it.misplaces("syncs of the ledger's log", |call| call.syncs() && within(call, "ledger.sqlite-wal"));
    it.misplaces("records", |call| call.writes() && within(call, "ledger.sqlite-wal") && call.arguments.contains(&one));
    it.misplaces("claims", |call| call.writes() && within(call, "ledger.sqlite-wal"));
}
