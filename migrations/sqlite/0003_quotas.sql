-- API Entreprise: every call, the quotas as the platform counts them, and the ban.

CREATE TABLE calls (
    id          INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,          -- when it left
    account     TEXT NOT NULL,          -- entreprise/marches
    feed        TEXT,
    path        TEXT NOT NULL,          -- without the parameters below
    context     TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    object      TEXT NOT NULL,
    status      INTEGER,                -- null: not answered
    request_id  TEXT,                   -- the platform's own number of the call
    finished_at TEXT
);
CREATE INDEX calls_at ON calls (at);

CREATE TABLE quotas (
    bucket          TEXT PRIMARY KEY,   -- ip, marches/json, …
    per_minute      INTEGER NOT NULL,
    minute          TEXT,               -- the platform's minute that the next two speak of
    used            INTEGER NOT NULL,
    left_over       INTEGER NOT NULL,   -- of our share
    closed_until    TEXT,               -- the platform refused a call: none before this, by its clock
    skew_from_ms    INTEGER NOT NULL,   -- the platform's clock less ours lies between the two
    skew_to_ms      INTEGER NOT NULL,
    at              TEXT NOT NULL
);

CREATE TABLE bans (
    origin          TEXT PRIMARY KEY,
    suspected_at    TEXT,               -- null: there is none
    probed_at       TEXT,
    reason          TEXT NOT NULL,
    refused_at      TEXT                -- the last refusal for too many calls
);
