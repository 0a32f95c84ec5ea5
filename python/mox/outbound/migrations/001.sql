CREATE TABLE queued (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    sender TEXT NOT NULL,
    recipient TEXT NOT NULL,
    file TEXT NOT NULL,
    prefix BLOB NOT NULL,
    remote_ip TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_ms INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL DEFAULT 0,
    last_error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX queued_next ON queued (next_ms);
