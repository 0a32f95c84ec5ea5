-- Results of TLS with other servers by policy domain, day and recipient domain; names are in Unicode.
CREATE TABLE results (
    id INTEGER PRIMARY KEY,
    policy_domain TEXT NOT NULL CHECK (policy_domain != ''),
    day TEXT NOT NULL CHECK (day != ''),
    recipient_domain TEXT NOT NULL CHECK (recipient_domain != ''),
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    is_host INTEGER NOT NULL,
    send_report INTEGER NOT NULL,
    sent_to_recipient_domain INTEGER NOT NULL DEFAULT 0,
    sent_to_policy_domain INTEGER NOT NULL DEFAULT 0,
    reporting_addresses TEXT NOT NULL DEFAULT '[]',
    results TEXT NOT NULL,
    UNIQUE (policy_domain, day, recipient_domain)
);
CREATE INDEX results_recipient ON results (recipient_domain, day);

CREATE TABLE suppressed (
    id INTEGER PRIMARY KEY,
    inserted_ms INTEGER NOT NULL,
    reporting_address TEXT NOT NULL UNIQUE CHECK (reporting_address != ''),
    until_ms INTEGER NOT NULL CHECK (until_ms > 0),
    comment TEXT NOT NULL
);
