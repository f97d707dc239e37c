-- Copies that nobody waits for any more are removed from the archive; their documents stay known.

ALTER TABLE documents ADD COLUMN purged_at TEXT;        -- when its copy was given up for removal; null: it is kept

-- Copies by their age; those whose removal is under way; whose bytes a file of the quarantine holds.
CREATE INDEX documents_kept ON documents (stored_at, id) WHERE archive_path IS NOT NULL AND purged_at IS NULL;
CREATE INDEX documents_purging ON documents (id) WHERE archive_path IS NOT NULL AND purged_at IS NOT NULL;
CREATE INDEX documents_quarantine ON documents (quarantine_path) WHERE quarantine_path IS NOT NULL;
