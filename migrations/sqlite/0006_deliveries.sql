-- Deliveries that fail for days are given up until an operator revives them; what is known of the targets themselves.

ALTER TABLE deliveries ADD COLUMN failing_since TEXT;   -- the first failure since it was ordered; null: none
CREATE INDEX deliveries_abandoned ON deliveries (target, id) WHERE state = 'abandoned';

CREATE TABLE targets (
    target          TEXT PRIMARY KEY,
    problem         TEXT,               -- why nothing can be handed to it, so that its deliveries wait; null when it can
    problem_since   TEXT,
    stale_file      TEXT,               -- its oldest file, where nobody empties it
    stale_since     TEXT,               -- since when that lies there
    stale_told_at   TEXT                -- when that was last said
);
