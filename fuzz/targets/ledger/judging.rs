//! Crashes, and whether the ledger and the archive are what the model says.

use super::*;

impl World {
    /// A crash, maybe while a file had its final name and no row.
    pub(super) fn die(&mut self, choices: &mut Choices<'_>) {
        if choices.byte() & 1 == 1 {
            for Arrived { sealed, .. } in self.arrived.values() {
                let place = self.folder.join(format!("{}.{}", sealed.document.stem, sealed.media_type.extension()));
                if !place.exists() {
                    fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
                    fs::rename(&sealed.path, place).expect("a name");
                }
            }
        }
        self.crash();
    }

    /// The process dies as it is: the next one finds its files, and takes up what had arrived.
    pub fn crash(&mut self) {
        self.runs += 1;
        self.clock.advance(Duration::from_millis(1));
        let folder = FOLDER.join(self.runs.to_string());
        drop(fs::remove_dir_all(&folder));
        copy(&self.folder, &folder);
        let (runtime, ledger, intake, stop) = open(&folder, &self.clock, &self.targets);
        std::mem::replace(&mut self.runtime, runtime).shutdown_background();
        drop(fs::remove_dir_all(std::mem::replace(&mut self.folder, folder)));
        (self.ledger, self.intake, self._stop) = (ledger, intake, stop);
        self.taken = Default::default();
        let adopted = self.runtime.block_on(adopt(&self.intake, &self.ledger)).expect("taken up");
        assert_eq!(adopted.documents, self.arrived.len(), "what had arrived is taken up");
        for (id, Arrived { bytes, .. }) in std::mem::take(&mut self.arrived) {
            self.is_kept(id, bytes);
        }
        let incoming = fs::read_dir(self.folder.join(layout::INCOMING)).expect("a folder");
        assert_eq!(incoming.count(), 0, "something is left behind");
    }

    /// The ledger says what the model says.
    pub fn agree(&self) {
        for number in 0..FEEDS.len() {
            let mut rows = BTreeMap::new();
            let each = |row: vaguemestre::ledger::DocumentRow| {
                rows.insert(row.remote_id.clone(), row);
                Ok::<_, LedgerError>(())
            };
            self.runtime.block_on(self.ledger.documents(FEEDS[number], &Filter::default(), each)).expect("an answer");
            let ours = self.documents.values().filter(|it| it.feed == number);
            assert_eq!(rows.len(), ours.clone().count());
            for document in ours {
                let row = rows.get(&document.remote_id).unwrap_or_else(|| panic!("no row for {document:?}"));
                assert_eq!(row.state, document.state.as_str(), "{document:?}");
                assert_eq!(
                    (row.attempts, row.interruptions),
                    (document.attempts, document.interruptions),
                    "{document:?}"
                );
                assert_eq!(row.archive_path, document.copy, "{document:?}");
                assert!(!document.is_held() || row.archive_path.is_some(), "held, and no copy: {document:?}");
                assert_eq!(row.released_at.is_some(), document.released, "{document:?}");
            }
        }
        let counts = self.runtime.block_on(self.ledger.count_documents()).expect("an answer");
        let total: i64 = counts.iter().map(|it| it.count).sum();
        assert_eq!(usize::try_from(total), Ok(self.documents.len()));
        for count in counts {
            let ours = self.documents.values().filter(|it| FEEDS[it.feed] == count.feed && it.state == count.state);
            assert_eq!(usize::try_from(count.count), Ok(ours.count()), "{count:?}");
        }
    }

    /// Every copy that was ever made is there, as it was.
    pub fn nothing_is_missing(&self) {
        for (path, bytes) in &self.archived {
            assert_eq!(fs::read(self.folder.join(path)).ok().as_ref(), Some(bytes), "{path}");
        }
    }
}
