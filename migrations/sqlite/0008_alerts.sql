-- What is amiss is told once until it is over; to whom, and how far each has been told.

CREATE TABLE alerts (
    kind        TEXT NOT NULL,          -- with subject: what is amiss, and with what
    subject     TEXT NOT NULL,
    severity    TEXT NOT NULL CHECK (severity IN ('error', 'warning')),
    message     TEXT NOT NULL,
    remedy      TEXT NOT NULL,
    mark        INTEGER NOT NULL,       -- how far it has come (documents, thresholds passed): raised again when that grows
    since       TEXT,
    raised_at   TEXT NOT NULL,
    worst       TEXT NOT NULL,          -- the gravest severity it had since it began
    began       INTEGER NOT NULL,       -- the change by which it began
    change      INTEGER NOT NULL,       -- the last change: grows with each thing to tell
    cleared_at  TEXT,                   -- it is over; the row stays until everybody was told
    PRIMARY KEY (kind, subject)
);
CREATE INDEX alerts_change ON alerts (change);

CREATE TABLE alert_targets (
    name            TEXT PRIMARY KEY,
    told            INTEGER NOT NULL DEFAULT 0,     -- the last change it was told
    attempts        INTEGER NOT NULL DEFAULT 0,     -- tries in a row that failed
    next_try_at     TEXT,
    failing_since   TEXT,
    error           TEXT
);

-- Platforms whose time differs from this machine's.
CREATE TABLE clocks (
    origin      TEXT PRIMARY KEY,
    seconds     INTEGER NOT NULL,       -- this machine's clock is behind by so much; negative: ahead
    since       TEXT NOT NULL
);

-- The certificate that follows on an account's present one.
ALTER TABLE accounts ADD COLUMN next_certificate_not_before TEXT;
ALTER TABLE accounts ADD COLUMN next_certificate_not_after TEXT;
ALTER TABLE accounts ADD COLUMN next_certificate_problem TEXT;
ALTER TABLE accounts ADD COLUMN refused_serial TEXT;    -- of the certificate that the platform last refused

-- Deposits that Hélios refused, and documents somebody else collected, by when that was.
CREATE INDEX documents_rejected ON documents (stored_at) WHERE summary LIKE '%"accepted":false%';
CREATE INDEX documents_gone ON documents (requested_at) WHERE state = 'gone';
