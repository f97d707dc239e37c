-- Who is due is asked platform by platform, so that a slow one keeps none of the others waiting, however many feeds it has.

ALTER TABLE feeds ADD COLUMN platform TEXT GENERATED ALWAYS AS (substr(feed, 1, instr(feed, '/') - 1)) VIRTUAL;

-- By the times at which a feed may be due; those that are led are never listed by themselves.
DROP INDEX feeds_next;
DROP INDEX feeds_resume;
CREATE INDEX feeds_next ON feeds (platform, next_poll_at) WHERE configured = 1 AND led_by IS NULL;
CREATE INDEX feeds_resume ON feeds (platform, resume_at) WHERE configured = 1 AND resume_at IS NOT NULL;
