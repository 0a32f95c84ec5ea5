-- Ids of queued messages and hooks are never used again: retired rows keep them.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
);
INSERT INTO counters (name, value) VALUES ('queued', 0), ('hook', 0);

-- A message for one recipient. Recipients of one add share the file; it goes with the last of them.
CREATE TABLE queued (
    id INTEGER PRIMARY KEY,
    base_id INTEGER NOT NULL,
    queued_ms INTEGER NOT NULL,
    hold INTEGER NOT NULL,
    account TEXT NOT NULL,
    sender_localpart TEXT NOT NULL,
    sender_domain TEXT NOT NULL,
    from_id TEXT NOT NULL,
    recipient_localpart TEXT NOT NULL,
    recipient_domain TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    dialed_ips TEXT NOT NULL,
    next_ms INTEGER NOT NULL,
    last_ms INTEGER,
    results TEXT NOT NULL,
    has_8bit INTEGER NOT NULL,
    smtputf8 INTEGER NOT NULL,
    is_dmarc_report INTEGER NOT NULL,
    is_tls_report INTEGER NOT NULL,
    size INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    prefix BLOB NOT NULL,
    subject TEXT NOT NULL,
    dsn_utf8 BLOB,
    transport TEXT NOT NULL,
    require_tls INTEGER,
    future_release TEXT NOT NULL,
    extra TEXT NOT NULL,
    file TEXT NOT NULL,
    remote_ip TEXT NOT NULL,
    notify TEXT NOT NULL,
    original_recipient TEXT NOT NULL,
    envelope_id TEXT NOT NULL,
    return_full INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT ''
);
CREATE INDEX queued_due ON queued (recipient_domain, next_ms) WHERE hold = 0;
CREATE INDEX queued_leased ON queued (recipient_domain, lease_ms) WHERE lease_ms > 0;
CREATE INDEX queued_base ON queued (base_id) WHERE base_id > 0;
CREATE INDEX queued_file ON queued (file);
CREATE INDEX queued_next ON queued (next_ms, id);
CREATE INDEX queued_time ON queued (queued_ms, id);
CREATE INDEX queued_account ON queued (account);
CREATE UNIQUE INDEX queued_from_id ON queued (from_id) WHERE from_id != '';

-- When each recipient domain (kind `message`) and each URL (kind `hook`) is looked at next, so that claiming costs the
-- same however much is queued, and one destination with much to do does not hide the others.
CREATE TABLE lanes (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    next_ms INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE INDEX lanes_next ON lanes (kind, next_ms);

CREATE TABLE retired (
    id INTEGER PRIMARY KEY,
    base_id INTEGER NOT NULL,
    queued_ms INTEGER NOT NULL,
    account TEXT NOT NULL,
    sender_localpart TEXT NOT NULL,
    sender_domain TEXT NOT NULL,
    from_id TEXT NOT NULL,
    recipient_localpart TEXT NOT NULL,
    recipient_domain TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    max_attempts INTEGER NOT NULL,
    dialed_ips TEXT NOT NULL,
    last_ms INTEGER,
    results TEXT NOT NULL,
    has_8bit INTEGER NOT NULL,
    smtputf8 INTEGER NOT NULL,
    is_dmarc_report INTEGER NOT NULL,
    is_tls_report INTEGER NOT NULL,
    size INTEGER NOT NULL,
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    transport TEXT NOT NULL,
    require_tls INTEGER,
    future_release TEXT NOT NULL,
    extra TEXT NOT NULL,
    recipient_address TEXT NOT NULL,
    activity_ms INTEGER NOT NULL,
    success INTEGER NOT NULL,
    keep_until_ms INTEGER NOT NULL
);
CREATE INDEX retired_from_id ON retired (from_id) WHERE from_id != '';
CREATE INDEX retired_activity ON retired (activity_ms, id);
CREATE INDEX retired_time ON retired (queued_ms, id);
CREATE INDEX retired_recipient ON retired (account, recipient_address, activity_ms);
CREATE INDEX retired_keep ON retired (keep_until_ms);
CREATE INDEX retired_message_id ON retired (account, message_id);

-- Empty conditions match everything; the others must all match.
CREATE TABLE hold_rules (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    sender_domain TEXT NOT NULL,
    recipient_domain TEXT NOT NULL
);

CREATE TABLE suppressions (
    id INTEGER PRIMARY KEY,
    created_ms INTEGER NOT NULL,
    account TEXT NOT NULL CHECK (account != ''),
    base_address TEXT NOT NULL CHECK (base_address != ''),
    original_address TEXT NOT NULL,
    manual INTEGER NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (account, base_address)
);

CREATE TABLE hooks (
    id INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL,
    from_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    extra TEXT NOT NULL,
    account TEXT NOT NULL,
    url TEXT NOT NULL,
    authorization TEXT NOT NULL,
    is_incoming INTEGER NOT NULL,
    outgoing_event TEXT NOT NULL,
    payload TEXT NOT NULL,
    submitted_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    results TEXT NOT NULL,
    lease_ms INTEGER NOT NULL DEFAULT 0,
    owner TEXT NOT NULL DEFAULT ''
);
CREATE INDEX hooks_next ON hooks (next_ms, id);
CREATE INDEX hooks_url ON hooks (url, next_ms);
CREATE INDEX hooks_leased ON hooks (url, lease_ms) WHERE lease_ms > 0;
CREATE INDEX hooks_queue_id ON hooks (queue_id) WHERE queue_id > 0;
CREATE INDEX hooks_submitted ON hooks (submitted_ms, id);

CREATE TABLE hooks_retired (
    id INTEGER PRIMARY KEY,
    queue_id INTEGER NOT NULL,
    from_id TEXT NOT NULL,
    message_id TEXT NOT NULL,
    subject TEXT NOT NULL,
    extra TEXT NOT NULL,
    account TEXT NOT NULL,
    url TEXT NOT NULL,
    authorization INTEGER NOT NULL,
    is_incoming INTEGER NOT NULL,
    outgoing_event TEXT NOT NULL,
    payload TEXT NOT NULL,
    submitted_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    results TEXT NOT NULL,
    superseded_by INTEGER NOT NULL,
    success INTEGER NOT NULL,
    activity_ms INTEGER NOT NULL,
    keep_until_ms INTEGER NOT NULL
);
CREATE INDEX hooks_retired_activity ON hooks_retired (activity_ms, id);
CREATE INDEX hooks_retired_submitted ON hooks_retired (submitted_ms, id);
CREATE INDEX hooks_retired_keep ON hooks_retired (keep_until_ms);
