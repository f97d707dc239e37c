//! From a listing to a copy in the archive, or to a document given up.

use super::*;

impl World {
    pub(super) fn list(&mut self, choices: &mut Choices<'_>) {
        let (number, shown, version) = (choices.below(FEEDS.len()), choices.byte(), choices.byte());
        let skip = choices.byte() % 16 == 1;
        let numbers = (0..MANY).filter(|bit| shown >> bit & 1 == 1);
        let remote: Vec<RemoteDocument> = numbers.map(|it| remote(number, it, version >> it & 1)).collect();
        let terms = ListingTerms { skip, release: self.release, ..ListingTerms::at(self.now()) };
        let recorded =
            self.runtime.block_on(self.ledger.record_listing(&feed(number), &remote, terms)).expect("recorded");

        let known = |documents: &BTreeMap<i64, Document>, remote_id: &str| {
            documents.iter().find(|(_, it)| it.feed == number && it.remote_id == remote_id).map(|(id, _)| *id)
        };
        let held =
            remote.iter().filter_map(|it| known(&self.documents, &it.id)).filter(|id| self.documents[id].is_held());
        assert_eq!(recorded.held, held.count() as u64);
        for it in &remote {
            let Some(file) = &it.file else { continue };
            let rows: Vec<i64> = self.documents.keys().copied().collect();
            for row in rows {
                let exists = known(&self.documents, &it.id).is_some();
                if let Some(document) = self.documents.get_mut(&row)
                    && document.feed == number
                    && document.path.as_ref() == Some(&file.path)
                    && document.remote_id != it.id
                {
                    document.is_replaced(&it.id, exists);
                }
            }
            // There again, though it had been removed, or seemed to be.
            if let Some(document) = known(&self.documents, &it.id).and_then(|row| self.documents.get_mut(&row)) {
                document.released = false;
                if matches!(document.state, DocumentState::Gone | DocumentState::Lost) {
                    document.state = DocumentState::Listed;
                }
            }
        }
        let state = if skip { DocumentState::Skipped } else { DocumentState::Listed };
        let mut new = 0;
        for it in remote {
            if known(&self.documents, &it.id).is_none() {
                new += 1;
                let row = self.row(number, &it.id).expect("a row for what is new");
                self.documents.insert(row, Document::new(number, &it.id, it.file.map(|file| file.path), state));
            }
        }
        assert_eq!(recorded.new, new);
    }

    pub(super) fn row(&self, number: usize, remote_id: &str) -> Option<i64> {
        self.runtime.block_on(self.ledger.document(&feed(number), remote_id)).expect("an answer").map(|(id, ..)| id)
    }

    /// What may be fetched is what the model says, in its order; some of it is claimed.
    pub(super) fn open_and_claim(&mut self, choices: &mut Choices<'_>) {
        let number = choices.below(FEEDS.len());
        let (run, now) = (self.run(), self.now());
        let terms = OpenTerms { now, latest: now + LATEST_TRY, files: number == FILES };
        let name = feed(number);
        let open = self.ledger.open_documents(&name, &run, terms, (-1, -1), 100);
        let open: Vec<i64> = self.runtime.block_on(open).expect("an answer").iter().map(|it| it.id).collect();
        let wanted = self.documents.iter().filter(|(_, it)| it.feed == number && it.is_open(&run, now));
        let mut wanted: Vec<(i64, i64)> = wanted.map(|(id, it)| (it.setbacks, *id)).collect();
        wanted.sort_unstable();
        assert_eq!(open, wanted.iter().map(|(_, id)| *id).collect::<Vec<_>>());
        assert!(open.iter().all(|id| !self.documents[id].is_held()), "a document held is open");
        for id in open.into_iter().take(choices.below(MANY + 1)) {
            assert!(self.claim_row(id).is_some());
        }
    }

    pub(super) fn claim(&mut self, choices: &mut Choices<'_>) {
        if let Some(id) = self.any(choices) {
            let may = self.documents[&id].may_be_claimed(&self.run());
            assert_eq!(self.claim_row(id).is_some(), may);
        }
    }

    pub(super) fn claim_row(&mut self, id: i64) -> Option<Claimed> {
        let (run, now) = (self.run(), self.now());
        let document = self.documents.get_mut(&id)?;
        let stem = stem(&feed(document.feed), &document.remote_id, now);
        let claimed = self.runtime.block_on(self.ledger.claim_document(id, &run, stem, now)).expect("an answer")?;
        document.claim(&run);
        assert_eq!((claimed.attempts, claimed.interruptions), (document.attempts, document.interruptions));
        Some(claimed)
    }

    pub(super) fn claimed(&self, id: i64) -> Claimed {
        self.runtime.block_on(self.ledger.claim_of(id)).expect("an answer").expect("a claim that stands")
    }

    /// A body arrives whole.
    pub(super) fn receive(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.fetching(choices) else { return };
        let bytes = body(id, choices);
        let claimed = self.claimed(id);
        let verdict = self.runtime.block_on(async {
            let mut reception = self.intake.receive(&claimed, 1 << 20);
            for piece in bytes.chunks(40_000) {
                reception.push(piece).await.expect("room");
            }
            reception.finish().await.expect("a verdict")
        });
        match verdict {
            Verdict::Return(sealed) => drop(self.arrived.insert(id, Arrived { sealed: *sealed, bytes })),
            Verdict::Refused { path, sha256, .. } => {
                assert_eq!(fs::read(self.folder.join(&path)).expect("set aside"), bytes);
                let again = self.documents[&id].quarantine.as_ref().is_some_and(|(_, known)| *known == sha256);
                let later = self.now() + SignedDuration::from_mins(30);
                let condition = if again { Condition::Abandoned } else { Condition::Failed(later) };
                self.refuse_row(id, condition, false, Some((path, sha256)));
            }
        }
    }

    /// A body breaks off, or stays on its way until a crash.
    pub(super) fn break_off(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.fetching(choices) else { return };
        let claimed = self.claimed(id);
        let (large, on_its_way) = (choices.byte() & 1 == 1, choices.byte() & 1 == 1);
        let bytes = vec![b'<'; if large { 70_000 } else { 70 }];
        self.runtime.block_on(async {
            let mut reception = self.intake.receive(&claimed, 1 << 20);
            reception.push(&bytes).await.expect("room");
            if !on_its_way {
                reception.abandon().await.expect("set aside");
            }
        });
        if !on_its_way {
            let later = self.now() + SignedDuration::from_mins(30);
            let condition = choices.below(2);
            self.refuse_row(id, [Condition::Open, Condition::Failed(later)][condition].clone(), true, None);
        }
    }

    pub(super) fn refuse(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.fetching(choices) else { return };
        let later = self.now() + SignedDuration::from_mins(i64::from(choices.byte()) * 10);
        let all = [Condition::Open, Condition::Failed(later), Condition::Abandoned, Condition::Gone, Condition::Lost];
        let condition = all[choices.below(all.len())].clone();
        let in_doubt = choices.byte() & 1 == 1;
        self.refuse_row(id, condition, in_doubt, None);
    }

    pub(super) fn refuse_row(
        &mut self,
        id: i64,
        condition: Condition,
        in_doubt: bool,
        quarantine: Option<(String, String)>,
    ) {
        let error = Some("no luck".to_owned());
        let refusal = Refusal { id, condition: condition.clone(), in_doubt, error, quarantine: quarantine.clone() };
        self.runtime.block_on(self.ledger.refuse(refusal)).expect("recorded");
        if let Some(document) = self.documents.get_mut(&id) {
            document.refuse(&condition, in_doubt, quarantine);
        }
    }

    /// Keeps some of what has arrived, together.
    pub(super) fn keep(&mut self, choices: &mut Choices<'_>) {
        let chosen = choices.byte();
        let rows: Vec<i64> = self
            .arrived
            .keys()
            .copied()
            .enumerate()
            .filter(|(at, _)| chosen >> at & 1 == 0)
            .map(|(_, id)| id)
            .collect();
        let mut kept = Vec::new();
        let mut waiting = Vec::new();
        for id in rows {
            let Some(Arrived { sealed, bytes }) = self.arrived.remove(&id) else { continue };
            let intake = self.intake.clone();
            waiting.push(self.runtime.spawn(async move { intake.keep(sealed, None).await }));
            kept.push((id, bytes));
        }
        self.runtime.block_on(async {
            for one in waiting {
                one.await.expect("no panic").expect("kept");
            }
        });
        kept.into_iter().for_each(|(id, bytes)| self.is_kept(id, bytes));
    }

    /// The ledger and the archive must hold a document now.
    pub(super) fn is_kept(&mut self, id: i64, bytes: Vec<u8>) {
        let now = self.now();
        let Some(document) = self.documents.get_mut(&id) else { return };
        let name = feed(document.feed);
        let row = self.runtime.block_on(self.ledger.document(&name, &document.remote_id)).expect("an answer");
        let copy = row.and_then(|(_, row, _)| row.archive_path).expect("the place of a copy");
        assert_eq!(fs::read(self.folder.join(&copy)).expect("a copy"), bytes);
        let targets: Vec<String> = self.targets.iter().filter(|it| it.wants(&name)).map(|it| it.name.clone()).collect();
        document.keep(copy.clone(), &targets, now);
        if let Some(before) = self.archived.insert(copy, bytes.clone()) {
            assert_eq!(before, bytes, "a copy was replaced");
        }
    }

    pub(super) fn reopen(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.any(choices) else { return };
        self.stems += 1;
        let Some(document) = self.documents.get_mut(&id) else { return };
        let seen = if choices.byte() % 4 == 1 { choices.of(&DocumentState::ALL) } else { document.state };
        // One held must not meet its first copy.
        let again = format!("{}~{}", stem(&feed(document.feed), &document.remote_id, begin()), self.stems);
        let reopened = self.ledger.reopen(id, seen, document.copy.is_some().then_some(again));
        let expected = seen == document.state && seen != DocumentState::Fetching;
        assert_eq!(self.runtime.block_on(reopened).expect("an answer"), expected);
        if expected {
            document.reopen();
        }
    }

    pub(super) fn dismiss(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.any(choices) else { return };
        let Some(document) = self.documents.get_mut(&id) else { return };
        let dismissed = self.runtime.block_on(self.ledger.dismiss(id, "by hand".to_owned())).expect("an answer");
        assert_eq!(dismissed, matches!(document.state, DocumentState::Abandoned | DocumentState::Lost));
        if dismissed {
            document.state = DocumentState::Dismissed;
        }
    }

    /// An operator takes bytes that were set aside.
    pub(super) fn accept(&mut self, choices: &mut Choices<'_>) {
        let Some(id) = self.any(choices) else { return };
        let (run, now) = (self.run(), self.now());
        let Some(document) = self.documents.get_mut(&id) else { return };
        let Some((path, _)) = document.quarantine.clone() else { return };
        let stem = stem(&feed(document.feed), &document.remote_id, now);
        let claimed = self.ledger.claim_accepted(id, document.state, &run, stem);
        let claimed = self.runtime.block_on(claimed).expect("an answer");
        assert_eq!(claimed.is_some(), document.state != DocumentState::Fetching);
        let Some(claimed) = claimed else { return };
        let bytes = fs::read(self.folder.join(&path)).expect("bytes set aside");
        self.runtime.block_on(self.intake.accept(&claimed, &path)).expect("accepted");
        self.is_kept(id, bytes);
    }
}

/// A document of the platform: of files, the `version` that lies in its place.
fn remote(number: usize, it: usize, version: u8) -> RemoteDocument {
    if number != FILES {
        return RemoteDocument::of_id(format!("{it}"));
    }
    let file =
        RemoteFile { path: format!("PES/{it}.xml"), etag: Some(format!("\"{version}\"")), ..RemoteFile::default() };
    RemoteDocument {
        circuit: Some("PES".to_owned()),
        file: Some(file),
        ..RemoteDocument::of_id(format!("PES/{it}.xml {version}"))
    }
}

/// What a platform may send: returns, small and large, the same again or not, and what is none.
fn body(id: i64, choices: &mut Choices<'_>) -> Vec<u8> {
    let kind = choices.byte();
    let text = match kind % 8 {
        0..=2 => format!("<retour id='{id}' serial='{}'/>", kind / 8 % 4),
        3 => format!("<retour id='{id}'>{}</retour>", "x".repeat(70_000)),
        4 => "%PDF-1.4 %%EOF".to_owned(),
        5 => "<html><title>maintenance</title></html>".to_owned(),
        6 => format!("<retour id='{id}'>"),
        _ => String::new(),
    };
    text.into_bytes()
}
