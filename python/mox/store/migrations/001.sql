CREATE TABLE sync_state (
    account_id INTEGER PRIMARY KEY,
    last_modseq INTEGER NOT NULL,
    highest_deleted_modseq INTEGER NOT NULL,
    next_uidvalidity INTEGER NOT NULL,
    next_mailbox_id INTEGER NOT NULL,
    next_message_id INTEGER NOT NULL,
    disk_usage INTEGER NOT NULL
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
    save_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, uid)
) WITHOUT ROWID;
CREATE INDEX message_modseq ON message_hot (account_id, modseq);
CREATE INDEX message_id ON message_hot (account_id, message_id);
CREATE VIEW message AS SELECT * FROM message_hot WHERE expunged = 0;

CREATE TABLE message_cold (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    prefix BLOB NOT NULL,
    blob_id INTEGER NOT NULL,
    structure BLOB NOT NULL,
    envelope BLOB NOT NULL,
    body BLOB NOT NULL,
    bodystructure BLOB NOT NULL,
    header BLOB NOT NULL,
    header_size INTEGER NOT NULL,
    message_ref TEXT NOT NULL,
    subject_base TEXT NOT NULL,
    preview TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    rcpt_to TEXT NOT NULL,
    remote_ip TEXT NOT NULL,
    PRIMARY KEY (account_id, message_id)
) WITHOUT ROWID;
CREATE INDEX message_ref ON message_cold (account_id, message_ref);

CREATE TABLE blob (
    account_id INTEGER NOT NULL,
    blob_id INTEGER NOT NULL,
    refs INTEGER NOT NULL,
    PRIMARY KEY (account_id, blob_id)
) WITHOUT ROWID;

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
    scram_sha256 TEXT NOT NULL
);
