-- DMARC evaluations of incoming messages that are to be reported; the policy domain is in Unicode, `data` is JSON.
CREATE TABLE evaluations (
    id INTEGER PRIMARY KEY,
    policy_domain TEXT NOT NULL,
    evaluated_ms INTEGER NOT NULL,
    optional INTEGER NOT NULL,
    interval_hours INTEGER NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX evaluations_domain ON evaluations (policy_domain, evaluated_ms);

CREATE TABLE suppressed (
    id INTEGER PRIMARY KEY,
    inserted_ms INTEGER NOT NULL,
    reporting_address TEXT NOT NULL UNIQUE CHECK (reporting_address != ''),
    until_ms INTEGER NOT NULL CHECK (until_ms > 0),
    comment TEXT NOT NULL
);

CREATE TABLE runs (
    name TEXT PRIMARY KEY,
    taken_ms INTEGER NOT NULL
);
