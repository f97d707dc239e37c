-- What the daemon alone knows to be amiss with itself, for other processes to tell.

CREATE TABLE conditions (
    kind        TEXT PRIMARY KEY,       -- config_rejected, backup_failed, disk_failed, admin_failed
    message     TEXT NOT NULL,
    since       TEXT NOT NULL
);
