-- Requests that were carried out, by the key that their sender gave them.
CREATE TABLE idempotency (
    account TEXT NOT NULL,
    key TEXT NOT NULL,
    -- SHA-256 of the request: the same key with another request is a mistake.
    digest BLOB NOT NULL,
    -- What was answered, JSON.
    result TEXT NOT NULL,
    -- Something remains to be done before the request is answered, or after its connection broke.
    unfinished INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_created ON idempotency (created_ms);
