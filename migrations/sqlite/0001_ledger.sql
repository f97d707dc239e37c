-- The ledger: what vaguemestre knows, row by row. Times are RFC 3339 UTC text with milliseconds, which sorts as text.
-- Columns that README and docs name are for users to query; the others are ours and may change.

CREATE TABLE installation (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    seed        BLOB NOT NULL,          -- 32 random bytes: makes this installation's schedule its own
    created_at  TEXT NOT NULL
);

CREATE TABLE accounts (
    account                 TEXT PRIMARY KEY,   -- fast/mairie
    certificate_subject     TEXT,
    certificate_serial      TEXT,
    certificate_not_after   TEXT,
    token_expires_at        TEXT,
    problem                 TEXT,               -- why it cannot work; null when it can
    problem_since           TEXT
);

CREATE TABLE feeds (
    feed                    TEXT PRIMARY KEY,   -- fast/mairie/acquittements
    account                 TEXT NOT NULL,
    origin                  TEXT NOT NULL,      -- with siren and kind: who the platform says it is, whatever its name
    siren                   TEXT NOT NULL,
    kind                    TEXT NOT NULL,
    configured              INTEGER NOT NULL DEFAULT 1,
    first_listed_at         TEXT,               -- its first listing was recorded whole
    last_listed_at          TEXT,
    last_listed_boot_id     TEXT,               -- boot clock at that moment, for when the wall clock is set
    last_listed_boot_ms     INTEGER,
    next_poll_at            TEXT NOT NULL,
    resume_at               TEXT,               -- documents wait that need no listing
    not_before              TEXT,               -- the platform asked not to be called before
    last_success_at         TEXT,
    last_document_at        TEXT,
    failing_since           TEXT,
    last_outcome            TEXT,
    last_error              TEXT,
    consecutive_failures    INTEGER NOT NULL DEFAULT 0,
    still_listed            INTEGER NOT NULL DEFAULT 0,  -- documents held that the last listing showed again
    refused_entries         INTEGER NOT NULL DEFAULT 0,  -- entries of the last listing that are no ids
    failing_logged_at       TEXT,
    claimed_by              TEXT,
    claimed_until           TEXT,
    UNIQUE (origin, siren, kind)
);
CREATE INDEX feeds_next ON feeds (next_poll_at);
CREATE INDEX feeds_resume ON feeds (resume_at) WHERE resume_at IS NOT NULL;

CREATE TABLE polls (
    id          INTEGER PRIMARY KEY,
    feed        TEXT NOT NULL REFERENCES feeds (feed) ON UPDATE CASCADE,
    run         TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    outcome     TEXT CHECK (outcome IN ('ok', 'partial', 'failed', 'interrupted')),
    listed      INTEGER,                -- null: a pass without a listing, over documents that waited
    fetched     INTEGER NOT NULL DEFAULT 0,
    failed      INTEGER NOT NULL DEFAULT 0,
    error       TEXT
);
CREATE INDEX polls_feed ON polls (feed, id);
CREATE INDEX polls_running ON polls (id) WHERE outcome IS NULL;
CREATE INDEX polls_finished ON polls (finished_at);

CREATE TABLE documents (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,   -- names its temporary files: never used twice
    feed            TEXT NOT NULL REFERENCES feeds (feed) ON UPDATE CASCADE,
    remote_id       TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('listed', 'fetching', 'stored', 'delivered', 'skipped', 'failed',
                                                   'abandoned', 'gone', 'lost', 'dismissed')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    interruptions   INTEGER NOT NULL DEFAULT 0,
    setbacks        INTEGER NOT NULL DEFAULT 0,     -- tries that did not keep it, counted or not: its place in the queue
    listed_at       TEXT NOT NULL,
    requested_at    TEXT,
    stored_at       TEXT,
    released_at     TEXT,
    poll_id         INTEGER,
    size            INTEGER,
    sha256          TEXT,
    media_type      TEXT,
    archive_path    TEXT,
    name            TEXT,
    summary         TEXT,
    error           TEXT,
    stem            TEXT,               -- where its copy will lie, less the extension; fixed when it is claimed
    next_try_at     TEXT,
    quarantine_path TEXT,               -- bytes that arrived whole and are no return
    quarantine_sha256 TEXT,
    claimed_by      TEXT,
    claimed_until   TEXT,
    UNIQUE (feed, remote_id)
);
CREATE INDEX documents_state ON documents (feed, state, id);
CREATE INDEX documents_listed ON documents (feed, id);
-- Documents that may be fetched: those without a setback first, so that one that never comes keeps no other waiting.
CREATE INDEX documents_queue ON documents (feed, setbacks, id) WHERE state IN ('listed', 'fetching', 'failed');

CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY,    -- grows in the order of storing
    feed            TEXT NOT NULL,
    remote_id       TEXT NOT NULL,
    target          TEXT NOT NULL,
    state           TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'abandoned')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    delivered_at    TEXT,
    error           TEXT,
    created_at      TEXT NOT NULL,
    next_try_at     TEXT NOT NULL,
    UNIQUE (feed, remote_id, target),
    FOREIGN KEY (feed, remote_id) REFERENCES documents (feed, remote_id) ON UPDATE CASCADE
);
-- Those never tried go out in the order of storing, those that failed when their pause ends.
CREATE INDEX deliveries_pending ON deliveries (target, id) WHERE state = 'pending';
CREATE INDEX deliveries_failed ON deliveries (target, next_try_at) WHERE state = 'failed';

CREATE TABLE requests (
    id          INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    actor       TEXT NOT NULL,
    command     TEXT NOT NULL,
    arguments   TEXT NOT NULL,          -- JSON
    state       TEXT NOT NULL CHECK (state IN ('pending', 'running', 'done')),
    answer      TEXT,
    exit_code   INTEGER
);
CREATE INDEX requests_pending ON requests (id) WHERE state = 'pending';

CREATE TABLE operator_actions (
    id          INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    actor       TEXT NOT NULL,
    command     TEXT NOT NULL,
    detail      TEXT NOT NULL
);
