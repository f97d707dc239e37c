-- Feeds whose documents change keep one row per version, and one row per subject asked about.

ALTER TABLE documents ADD COLUMN subject TEXT;  -- whose version this is; null: a document that never changes
ALTER TABLE documents ADD COLUMN digest TEXT;   -- SHA-256 of what matters of it; null: of all of it, see sha256
CREATE INDEX documents_versions ON documents (feed, subject, id) WHERE subject IS NOT NULL;

CREATE TABLE subjects (
    feed            TEXT NOT NULL REFERENCES feeds (feed) ON UPDATE CASCADE,
    subject         TEXT NOT NULL,      -- the resource's name, or the SIREN, SIRET or id that a watch asks about
    configured      INTEGER NOT NULL DEFAULT 1,
    next_at         TEXT,               -- when it is asked about next; null where the feed's own schedule says so
    asked_at        TEXT,               -- start of the last call
    answered_at     TEXT,
    status          INTEGER,            -- of the last answer
    answer          TEXT,               -- its code and words, where it was no version
    setbacks        INTEGER NOT NULL DEFAULT 0,     -- calls in a row that brought no answer to record
    etag            TEXT,               -- of the version held
    last_modified   TEXT,
    PRIMARY KEY (feed, subject)
);
CREATE INDEX subjects_next ON subjects (feed, next_at) WHERE configured = 1;
