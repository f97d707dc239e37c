-- Tokens of the accounts that work by OAuth: asked for once, used by everything on this machine until they expire.
-- Left out of backups and of the copies made before migrations: see README.

CREATE TABLE tokens (
    account         TEXT PRIMARY KEY,   -- douane/siege
    identity        TEXT NOT NULL,      -- whose token it is: HMAC of the address and the client's name, under the seed
    access_token    TEXT,               -- null when none is held, or the API has rejected it
    expires_at      TEXT,
    asked_at        TEXT,               -- when the request left that brought it; its life counts from then
    asked_boot_id   TEXT,               -- boot clock at that moment, for when the wall clock is set
    asked_boot_ms   INTEGER,
    life_ms         INTEGER,
    failures        INTEGER NOT NULL DEFAULT 0,     -- requests in a row that brought none
    failed_at       TEXT,               -- when the last of them was over
    failed_boot_id  TEXT,
    failed_boot_ms  INTEGER,
    pause_ms        INTEGER,            -- no request for so long after that
    error           TEXT,
    remedy          TEXT,
    refused         TEXT                -- HMAC of the credentials that were refused, under the seed
);
