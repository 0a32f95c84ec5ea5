CREATE TABLE sync_state (
    account_id INTEGER PRIMARY KEY,
    last_modseq INTEGER NOT NULL,
    highest_deleted_modseq INTEGER NOT NULL,
    next_uidvalidity INTEGER NOT NULL,
    next_mailbox_id INTEGER NOT NULL,
    next_message_id INTEGER NOT NULL,
    next_annotation_id INTEGER NOT NULL,
    next_outgoing_id INTEGER NOT NULL,
    disk_usage INTEGER NOT NULL,
    -- Directories of message files below this number have no files without record.
    swept_shard INTEGER NOT NULL
);

CREATE TABLE mailbox_all (
    account_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    create_seq INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    expunged INTEGER NOT NULL DEFAULT 0,
    name TEXT NOT NULL,
    uidvalidity INTEGER NOT NULL,
    uidnext INTEGER NOT NULL DEFAULT 1,
    special_use INTEGER NOT NULL DEFAULT 0,
    keywords TEXT NOT NULL DEFAULT '',
    total INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    unseen INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX mailbox_name ON mailbox_all (account_id, name) WHERE expunged = 0;
CREATE INDEX mailbox_modseq ON mailbox_all (account_id, modseq);
CREATE VIEW mailbox AS SELECT * FROM mailbox_all WHERE expunged = 0;

CREATE TABLE subscription_all (
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    expunged INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;
CREATE VIEW subscription AS SELECT * FROM subscription_all WHERE expunged = 0;

-- What changes of a message; `message_cold` has what does not.
CREATE TABLE message_hot (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    flags INTEGER NOT NULL,
    keywords TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    create_seq INTEGER NOT NULL,
    expunged INTEGER NOT NULL DEFAULT 0,
    size INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    -- Minutes east of UTC: IMAP shows and compares INTERNALDATE in the zone it came with.
    received_zone INTEGER NOT NULL DEFAULT 0,
    save_ms INTEGER NOT NULL,
    -- What the junk filter has learned it as: 0 nothing, 1 ham, 2 junk.
    trained INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, mailbox_id, uid)
) WITHOUT ROWID;
-- Changes of the whole account are found through the modseq of its mailboxes, which is never lower.
CREATE INDEX message_modseq ON message_hot (account_id, mailbox_id, modseq);
CREATE INDEX message_id ON message_hot (account_id, message_id);
CREATE INDEX message_received ON message_hot (account_id, mailbox_id, received_ms) WHERE expunged = 0;
CREATE VIEW message AS SELECT * FROM message_hot WHERE expunged = 0;

CREATE TABLE message_cold (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    blob_id INTEGER NOT NULL,
    -- The mailbox whose reputation it counts for, and the one it was meant for when it went to Rejects or the introbox.
    mailbox_orig_id INTEGER NOT NULL,
    mailbox_destined_id INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    message_ref TEXT NOT NULL,
    subject_base TEXT NOT NULL,
    -- Ancestors' message ids separated by spaces, parent first.
    thread_id INTEGER NOT NULL,
    thread_parents TEXT NOT NULL,
    thread_missing_link INTEGER NOT NULL,
    thread_muted INTEGER NOT NULL,
    thread_collapsed INTEGER NOT NULL,
    -- Of the last change of the two above; these are no changes of the message itself.
    thread_modseq INTEGER,
    is_dsn INTEGER NOT NULL,
    header_size INTEGER NOT NULL,
    -- The fields of types.Facts, in its order.
    is_reject INTEGER NOT NULL,
    is_forward INTEGER NOT NULL,
    is_mailing_list INTEGER NOT NULL,
    remote_ip TEXT NOT NULL,
    remote_network1 TEXT NOT NULL,
    remote_network2 TEXT NOT NULL,
    remote_network3 TEXT NOT NULL,
    ehlo_domain TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    mail_from_localpart TEXT NOT NULL,
    mail_from_domain TEXT NOT NULL,
    rcpt_to TEXT NOT NULL,
    rcpt_to_localpart TEXT NOT NULL,
    rcpt_to_domain TEXT NOT NULL,
    msg_from_localpart TEXT NOT NULL,
    msg_from_domain TEXT NOT NULL,
    msg_from_org_domain TEXT NOT NULL,
    ehlo_validated INTEGER NOT NULL,
    mail_from_validated INTEGER NOT NULL,
    msg_from_validated INTEGER NOT NULL,
    ehlo_validation INTEGER NOT NULL,
    mail_from_validation INTEGER NOT NULL,
    msg_from_validation INTEGER NOT NULL,
    dkim_domains TEXT NOT NULL,
    orig_ehlo_domain TEXT NOT NULL,
    orig_dkim_domains TEXT NOT NULL,
    message_hash BLOB,
    tls_version INTEGER NOT NULL,
    tls_cipher_suite INTEGER NOT NULL,
    require_tls INTEGER NOT NULL,
    preview TEXT NOT NULL,
    prefix BLOB NOT NULL,
    structure BLOB NOT NULL,
    envelope BLOB NOT NULL,
    body BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    header BLOB NOT NULL,
    -- Not clustered: rows are wide, and SQLite keeps wide rows of a clustered table in overflow pages.
    PRIMARY KEY (account_id, message_id)
);
CREATE INDEX message_ref ON message_cold (account_id, message_ref, message_id);
CREATE INDEX message_subject ON message_cold (account_id, subject_base, mailbox_orig_id, received_ms)
    WHERE subject_base <> '';
CREATE INDEX message_thread ON message_cold (account_id, thread_id);
CREATE INDEX message_thread_modseq ON message_cold (account_id, thread_modseq) WHERE thread_modseq IS NOT NULL;
CREATE INDEX message_destined ON message_cold (account_id, message_id) WHERE mailbox_destined_id <> 0;
CREATE INDEX message_hash ON message_cold (account_id, message_hash) WHERE message_hash IS NOT NULL;

-- References of messages to parents that are not there yet; distance 0 is the direct parent.
CREATE TABLE thread_wanted (
    account_id INTEGER NOT NULL,
    message_ref TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    distance INTEGER NOT NULL,
    PRIMARY KEY (account_id, message_ref, message_id)
) WITHOUT ROWID;
CREATE INDEX thread_wanted_message ON thread_wanted (account_id, message_id);

-- What the user decided about senders: a few rows for each live message that is marked as junk or as not junk, and none
-- for any other. The key of a look-up comes first, so that the newest n are one short range, however many there are.
CREATE TABLE reputation (
    account_id INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    name TEXT NOT NULL,
    mailbox_orig_id INTEGER NOT NULL,
    validated INTEGER NOT NULL,
    received_ms INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    is_junk INTEGER NOT NULL,
    localpart TEXT NOT NULL,
    PRIMARY KEY (account_id, kind, name, mailbox_orig_id, validated, received_ms, message_id)
) WITHOUT ROWID;

-- Mail received from a network: by hour, and in the hour's last minute and the one before.
CREATE TABLE volume (
    account_id INTEGER NOT NULL,
    network TEXT NOT NULL,
    hour INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    octets INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    minute_messages INTEGER NOT NULL,
    minute_octets INTEGER NOT NULL,
    before_messages INTEGER NOT NULL,
    before_octets INTEGER NOT NULL,
    PRIMARY KEY (account_id, network, hour)
) WITHOUT ROWID;
CREATE INDEX volume_hour ON volume (account_id, hour);

-- To whom the account wrote: addresses of the messages in the Sent mailbox.
CREATE TABLE recipient (
    account_id INTEGER NOT NULL,
    domain TEXT NOT NULL,
    localpart TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    org_domain TEXT NOT NULL,
    sent_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, domain, localpart, message_id)
) WITHOUT ROWID;
CREATE INDEX recipient_domain ON recipient (account_id, domain, sent_ms);
CREATE INDEX recipient_org_domain ON recipient (account_id, org_domain, sent_ms);
CREATE INDEX recipient_message ON recipient (account_id, message_id);

-- Messages whose flags and `trained` differ, for the junk filter.
CREATE TABLE training_pending (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, message_id)
) WITHOUT ROWID;

CREATE TABLE blob (
    account_id INTEGER NOT NULL,
    blob_id INTEGER NOT NULL,
    refs INTEGER NOT NULL,
    PRIMARY KEY (account_id, blob_id)
) WITHOUT ROWID;
-- Files to remove.
CREATE INDEX blob_unused ON blob (account_id, blob_id) WHERE refs = 0;

-- Expunged messages whose bytes some session may still read.
CREATE TABLE message_erase (
    account_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (account_id, modseq, message_id)
) WITHOUT ROWID;

-- How far the sessions of each process are; a process that died loses its lease.
CREATE TABLE reader_position (
    account_id INTEGER NOT NULL,
    process TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, process)
) WITHOUT ROWID;

CREATE TABLE password (
    account_id INTEGER PRIMARY KEY,
    bcrypt TEXT NOT NULL,
    scram_sha1 TEXT NOT NULL,
    scram_sha256 TEXT NOT NULL,
    cram_md5 BLOB
);

-- RFC 5464. Expunged rows have no value.
CREATE TABLE annotation_all (
    account_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    create_seq INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    expunged INTEGER NOT NULL DEFAULT 0,
    -- 0 for the account itself.
    mailbox_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    is_string INTEGER NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX annotation_name ON annotation_all (account_id, mailbox_id, name) WHERE expunged = 0;
CREATE INDEX annotation_modseq ON annotation_all (account_id, modseq);
CREATE VIEW annotation AS SELECT * FROM annotation_all WHERE expunged = 0;

-- One row a recipient of a submitted message, for the sending limits.
CREATE TABLE outgoing (
    account_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    submitted_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE INDEX outgoing_submitted ON outgoing (account_id, submitted_ms);
CREATE INDEX outgoing_recipient ON outgoing (account_id, recipient, submitted_ms);

-- What was seen of a domain's mail servers, for the webmail to tell before sending.
CREATE TABLE recipient_domain_tls (
    account_id INTEGER NOT NULL,
    domain TEXT NOT NULL,
    updated_ms INTEGER NOT NULL,
    starttls INTEGER NOT NULL,
    require_tls INTEGER NOT NULL,
    PRIMARY KEY (account_id, domain)
) WITHOUT ROWID;

CREATE TABLE login_session (
    account_id INTEGER NOT NULL,
    token BLOB NOT NULL,
    csrf_token BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    login_address TEXT NOT NULL,
    PRIMARY KEY (account_id, token)
) WITHOUT ROWID;
CREATE INDEX login_session_expires ON login_session (account_id, expires_ms);

CREATE TABLE subjectpass (
    account_id INTEGER NOT NULL,
    address TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (account_id, address)
) WITHOUT ROWID;

CREATE TABLE settings (
    account_id INTEGER PRIMARY KEY,
    signature TEXT NOT NULL,
    -- '', 'bottom' or 'top'.
    quoting TEXT NOT NULL,
    show_address_security INTEGER NOT NULL,
    show_html INTEGER NOT NULL,
    no_show_shortcuts INTEGER NOT NULL,
    -- Separated by line feeds.
    show_headers TEXT NOT NULL
);

CREATE TABLE from_address_settings (
    account_id INTEGER NOT NULL,
    from_address TEXT NOT NULL,
    -- 'text', 'html' or 'htmlext'.
    view_mode TEXT NOT NULL,
    PRIMARY KEY (account_id, from_address)
) WITHOUT ROWID;

-- Rulesets that the user does not want to be asked about again.
CREATE TABLE ruleset_no_list_id (
    account_id INTEGER NOT NULL,
    rcpt_to_address TEXT NOT NULL,
    list_id TEXT NOT NULL,
    to_inbox INTEGER NOT NULL,
    PRIMARY KEY (account_id, rcpt_to_address, list_id, to_inbox)
) WITHOUT ROWID;
CREATE TABLE ruleset_no_msg_from (
    account_id INTEGER NOT NULL,
    rcpt_to_address TEXT NOT NULL,
    msg_from_address TEXT NOT NULL,
    to_inbox INTEGER NOT NULL,
    PRIMARY KEY (account_id, rcpt_to_address, msg_from_address, to_inbox)
) WITHOUT ROWID;
CREATE TABLE ruleset_no_mailbox (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    to_mailbox INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, to_mailbox)
) WITHOUT ROWID;
