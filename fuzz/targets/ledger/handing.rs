//! What is handed to targets and removed at the platform.

use super::*;

impl World {
    /// What is due to a target is what the model says, once each, oldest order first.
    pub(super) fn take_deliveries(&mut self, choices: &mut Choices<'_>) {
        let (target, now) = (target(choices.below(2)).name, self.now());
        let due = self.runtime.block_on(self.ledger.deliveries_due(&target, now, 100)).expect("an answer");
        let found: BTreeSet<(String, String)> =
            due.iter().map(|it| (it.feed.to_string(), it.remote_id.clone())).collect();
        assert_eq!(found.len(), due.len(), "a delivery is due twice");
        let wanted = self.documents.values().filter(|it| it.deliveries.get(&target).is_some_and(|it| it.is_due(now)));
        let wanted: BTreeSet<_> = wanted.map(|it| (FEEDS[it.feed].to_owned(), it.remote_id.clone())).collect();
        assert_eq!(found, wanted);
        for pending in &due {
            let bytes = fs::read(self.folder.join(&pending.archive_path)).expect("a copy to deliver");
            assert_eq!(self.archived.get(&pending.archive_path), Some(&bytes));
        }
        self.taken = (target, due);
    }

    pub(super) fn settle_deliveries(&mut self, choices: &mut Choices<'_>) {
        let (now, made) = (self.now(), choices.byte());
        let later = now + SignedDuration::from_mins(i64::from(choices.byte()));
        let mut settled = Vec::new();
        let (target, taken) = std::mem::take(&mut self.taken);
        for (at, pending) in taken.into_iter().enumerate() {
            let Pending { id, created_at, feed: name, remote_id, archive_path, .. } = pending;
            let setback = || Setback { error: "full".to_owned(), next: Some(later) };
            let outcome = if made >> (at % 8) & 1 == 0 { Ok(()) } else { Err(setback()) };
            let of = |it: &&mut Document| FEEDS[it.feed] == name.as_str() && it.remote_id == remote_id;
            if let Some(document) = self.documents.values_mut().find(of) {
                // One ordered again since is another delivery; one retired since is none.
                let same = |it: &&mut Delivery| stamp(it.ordered) == created_at;
                if let Some(delivery) = document.deliveries.get_mut(&target).filter(same) {
                    match &outcome {
                        Ok(()) => (delivery.made, delivery.next) = (true, None),
                        Err(Setback { next, .. }) => delivery.next = *next,
                    }
                }
                let whole = document.deliveries.values().all(|delivery| delivery.made);
                if outcome.is_ok() && document.state == DocumentState::Stored && whole {
                    document.state = DocumentState::Delivered;
                }
            }
            assert!(self.archived.contains_key(&archive_path));
            settled.push(Settled { id, created_at, feed: name, remote_id, outcome });
        }
        self.runtime.block_on(self.ledger.settle_deliveries(settled, now)).expect("recorded");
    }

    pub(super) fn change_targets(&mut self, choices: &mut Choices<'_>) {
        let chosen = choices.byte();
        self.targets = (0..2).filter(|bit| chosen >> bit & 1 == 0).map(target).collect();
        self.intake.deliver_to(self.targets.clone());
        let names: Vec<String> = self.targets.iter().map(|it| it.name.clone()).collect();
        let retired = self.runtime.block_on(self.ledger.retire_targets(names.clone())).expect("recorded");
        let mut gone = 0;
        for document in self.documents.values_mut() {
            let before = document.deliveries.len();
            document.deliveries.retain(|target, delivery| delivery.made || names.contains(target));
            gone += before - document.deliveries.len();
        }
        assert_eq!(retired, gone as u64);
        if gone > 0 {
            self.documents.values_mut().filter(|it| it.state == DocumentState::Stored).for_each(Document::settle);
        }
    }

    pub(super) fn release(&mut self, choices: &mut Choices<'_>) {
        let (stubborn, gone, now) = (choices.byte() & 1 == 1, choices.byte(), self.now());
        let name = feed(FILES);
        let due = self.ledger.releases_due(&name, stubborn, 0, 100);
        let due: Vec<i64> = self.runtime.block_on(due).expect("an answer").iter().map(|it| it.id).collect();
        let release = self.release;
        let wanted = |it: &Document| it.is_to_be_released(release) && it.release_failed == stubborn;
        let wanted: Vec<i64> = self.documents.iter().filter(|(_, it)| wanted(it)).map(|(id, _)| *id).collect();
        assert_eq!(due, wanted);
        for (at, id) in due.into_iter().enumerate() {
            let released = gone >> (at % 8) & 1 == 0;
            let error = (!released).then(|| "locked".to_owned());
            self.runtime.block_on(self.ledger.settle_release(id, released, error, now)).expect("recorded");
            if let Some(document) = self.documents.get_mut(&id) {
                (document.released, document.release_failed) = (released, !released);
            }
        }
    }
}
