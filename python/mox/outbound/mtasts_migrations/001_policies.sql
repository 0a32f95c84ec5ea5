-- Domains are in Unicode. A record that is `backoff` stands for a policy that could not be fetched.
CREATE TABLE policies (
    domain TEXT PRIMARY KEY,
    inserted_ms INTEGER NOT NULL,
    valid_until_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    backoff INTEGER NOT NULL,
    record_id TEXT NOT NULL,
    policy TEXT NOT NULL,
    policy_text TEXT NOT NULL
);
CREATE INDEX policies_used ON policies (used_ms);
