-- Documents that are files of the platform, which stay there until they are removed; where documents belong; what they say.

ALTER TABLE documents ADD COLUMN circuit TEXT;          -- the workflow it belongs to
ALTER TABLE documents ADD COLUMN label TEXT;            -- the folder of that circuit
ALTER TABLE documents ADD COLUMN remote_path TEXT;      -- of a file: below the platform's folder, percent-encoded
ALTER TABLE documents ADD COLUMN remote_etag TEXT;      -- with its quotes, and W/ where it is weak
ALTER TABLE documents ADD COLUMN remote_size INTEGER;
ALTER TABLE documents ADD COLUMN remote_modified TEXT;
ALTER TABLE documents ADD COLUMN release TEXT CHECK (release IN ('stored', 'delivered'));   -- when it is to be removed there
ALTER TABLE documents ADD COLUMN release_error TEXT;    -- why it is not removed yet
ALTER TABLE documents ADD COLUMN same_as TEXT;          -- remote_id under which the same bytes had come over another interface

-- Files to be removed, and those yet to be fetched by their place.
CREATE INDEX documents_release ON documents (feed, id)
    WHERE release IS NOT NULL AND released_at IS NULL AND state IN ('stored', 'delivered');
CREATE INDEX documents_place ON documents (feed, remote_path)
    WHERE remote_path IS NOT NULL AND state IN ('listed', 'fetching', 'failed');
-- The same bytes over another interface; a return by its NomFic.
CREATE INDEX documents_bytes ON documents (feed, sha256) WHERE sha256 IS NOT NULL;
CREATE INDEX documents_name ON documents (name) WHERE name IS NOT NULL;
CREATE INDEX documents_same ON documents (feed, same_as) WHERE same_as IS NOT NULL;

-- What became of each request for a document that did not bring it: the last thirty of each.
CREATE TABLE tries (
    id          INTEGER PRIMARY KEY,
    document    INTEGER NOT NULL REFERENCES documents (id) ON DELETE CASCADE,
    asked_at    TEXT NOT NULL,
    counted     INTEGER NOT NULL,                        -- whether it counts among its attempts
    error       TEXT NOT NULL
);
CREATE INDEX tries_document ON tries (document, id);

ALTER TABLE feeds ADD COLUMN led_by TEXT;               -- the feed whose listings show this one's documents as well
ALTER TABLE feeds ADD COLUMN files INTEGER NOT NULL DEFAULT 0;   -- its documents are files, which the platform purges
ALTER TABLE feeds ADD COLUMN note TEXT;                  -- what the last listing showed beside documents
CREATE INDEX feeds_led ON feeds (led_by) WHERE led_by IS NOT NULL;
