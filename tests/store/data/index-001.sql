-- An account of schema version 1, with three messages. Made once; never changed.
BEGIN TRANSACTION;
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
INSERT INTO "annotation_all" VALUES(1,1,7,7,0,1,'/private/a',1,X'78');
CREATE TABLE blob (
    account_id INTEGER NOT NULL,
    blob_id INTEGER NOT NULL,
    refs INTEGER NOT NULL,
    PRIMARY KEY (account_id, blob_id)
) WITHOUT ROWID;
INSERT INTO "blob" VALUES(1,123145302310913,1);
INSERT INTO "blob" VALUES(1,123145302310914,1);
CREATE TABLE from_address_settings (
    account_id INTEGER NOT NULL,
    from_address TEXT NOT NULL,
    -- 'text', 'html' or 'htmlext'.
    view_mode TEXT NOT NULL,
    PRIMARY KEY (account_id, from_address)
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
INSERT INTO "mailbox_all" VALUES(1,1,2,7,0,'Inbox',897783557,2,0,'work',1,0,1,1,62);
INSERT INTO "mailbox_all" VALUES(1,2,2,6,0,'Archive',897783557,2,1,'work',0,0,0,0,0);
INSERT INTO "mailbox_all" VALUES(1,3,2,2,0,'Drafts',897783557,1,2,'',0,0,0,0,0);
INSERT INTO "mailbox_all" VALUES(1,4,2,2,0,'Junk',897783557,1,4,'',0,0,0,0,0);
INSERT INTO "mailbox_all" VALUES(1,5,2,4,0,'Sent',897783557,2,8,'',1,0,0,0,87);
INSERT INTO "mailbox_all" VALUES(1,6,2,2,0,'Trash',897783557,1,16,'',0,0,0,0,0);
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
INSERT INTO "message_cold" VALUES(1,1,123145302310913,1,0,1795567115380,'1@x','one',1,'',0,0,0,NULL,0,58,0,0,0,'','','','','','','','','','','','ann','example.org','',0,0,0,0,0,0,'example.org','','',NULL,0,0,0,'hi
',X'',X'0100003A040000000000',X'284E494C20226F6E65222028284E494C204E494C2022612220226578616D706C652E6F72672229292028284E494C204E494C2022612220226578616D706C652E6F72672229292028284E494C204E494C2022612220226578616D706C652E6F7267222929204E494C204E494C204E494C204E494C20223C3140783E2229',X'282274657874222022706C61696E222028226368617273657422202275732D61736369692229204E494C204E494C202237626974222034203129',X'282274657874222022706C61696E222028226368617273657422202275732D61736369692229204E494C204E494C2022376269742220342031204E494C204E494C204E494C204E494C29',X'46726F6D3A203C61406578616D706C652E6F72673E0D0A5375626A6563743A206F6E650D0A4D6573736167652D49443A203C3140783E0D0A0D0A');
INSERT INTO "message_cold" VALUES(1,2,123145302310914,5,0,1795567115391,'','one',1,'1',0,0,0,NULL,0,83,0,0,0,'','','','','','','','','','','','','','',0,0,0,0,0,0,'','','',NULL,0,0,0,'ho
',X'',X'01000053040000000000',X'284E494C202272653A206F6E65222028284E494C204E494C2022612220226578616D706C652E6F72672229292028284E494C204E494C2022612220226578616D706C652E6F72672229292028284E494C204E494C2022612220226578616D706C652E6F72672229292028284E494C204E494C2022622220226578616D706C652E6E6574222929204E494C204E494C204E494C204E494C29',X'282274657874222022706C61696E222028226368617273657422202275732D61736369692229204E494C204E494C202237626974222034203129',X'282274657874222022706C61696E222028226368617273657422202275732D61736369692229204E494C204E494C2022376269742220342031204E494C204E494C204E494C204E494C29',X'46726F6D3A203C61406578616D706C652E6F72673E0D0A546F3A203C62406578616D706C652E6E65743E0D0A5375626A6563743A2072653A206F6E650D0A5265666572656E6365733A203C3140783E0D0A0D0A');
CREATE TABLE message_erase (
    account_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (account_id, modseq, message_id)
) WITHOUT ROWID;
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
INSERT INTO "message_hot" VALUES(1,1,1,1,128,'work',3,3,0,62,1795567115380,0,1795567115380,0);
INSERT INTO "message_hot" VALUES(1,2,1,3,128,'work',6,5,1,62,1795567115380,0,1,0);
INSERT INTO "message_hot" VALUES(1,5,1,2,1,'',4,4,0,87,1795567115391,0,1795567115391,0);
CREATE TABLE outgoing (
    account_id INTEGER NOT NULL,
    id INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    submitted_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, id)
) WITHOUT ROWID;
CREATE TABLE password (
    account_id INTEGER PRIMARY KEY,
    bcrypt TEXT NOT NULL,
    scram_sha1 TEXT NOT NULL,
    scram_sha256 TEXT NOT NULL,
    cram_md5 BLOB
);
CREATE TABLE reader_position (
    account_id INTEGER NOT NULL,
    process TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    lease_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, process)
) WITHOUT ROWID;
CREATE TABLE recipient (
    account_id INTEGER NOT NULL,
    domain TEXT NOT NULL,
    localpart TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    org_domain TEXT NOT NULL,
    sent_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, domain, localpart, message_id)
) WITHOUT ROWID;
INSERT INTO "recipient" VALUES(1,'example.net','b',2,'example.net',1795567115391);
CREATE TABLE recipient_domain_tls (
    account_id INTEGER NOT NULL,
    domain TEXT NOT NULL,
    updated_ms INTEGER NOT NULL,
    starttls INTEGER NOT NULL,
    require_tls INTEGER NOT NULL,
    PRIMARY KEY (account_id, domain)
) WITHOUT ROWID;
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
INSERT INTO "reputation" VALUES(1,1,'ann@example.org',1,0,1795567115380,1,0,'ann');
INSERT INTO "reputation" VALUES(1,2,'example.org',1,0,1795567115380,1,0,'ann');
INSERT INTO "reputation" VALUES(1,4,'example.org',1,0,1795567115380,1,0,'ann');
CREATE TABLE ruleset_no_list_id (
    account_id INTEGER NOT NULL,
    rcpt_to_address TEXT NOT NULL,
    list_id TEXT NOT NULL,
    to_inbox INTEGER NOT NULL,
    PRIMARY KEY (account_id, rcpt_to_address, list_id, to_inbox)
) WITHOUT ROWID;
CREATE TABLE ruleset_no_mailbox (
    account_id INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    to_mailbox INTEGER NOT NULL,
    PRIMARY KEY (account_id, mailbox_id, to_mailbox)
) WITHOUT ROWID;
CREATE TABLE ruleset_no_msg_from (
    account_id INTEGER NOT NULL,
    rcpt_to_address TEXT NOT NULL,
    msg_from_address TEXT NOT NULL,
    to_inbox INTEGER NOT NULL,
    PRIMARY KEY (account_id, rcpt_to_address, msg_from_address, to_inbox)
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
INSERT INTO "settings" VALUES(1,'','',0,0,0,'');
CREATE TABLE subjectpass (
    account_id INTEGER NOT NULL,
    address TEXT NOT NULL,
    secret TEXT NOT NULL,
    PRIMARY KEY (account_id, address)
) WITHOUT ROWID;
CREATE TABLE subscription_all (
    account_id INTEGER NOT NULL,
    name TEXT NOT NULL,
    modseq INTEGER NOT NULL,
    expunged INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, name)
) WITHOUT ROWID;
INSERT INTO "subscription_all" VALUES(1,'Archive',2,0);
INSERT INTO "subscription_all" VALUES(1,'Drafts',2,0);
INSERT INTO "subscription_all" VALUES(1,'Inbox',2,0);
INSERT INTO "subscription_all" VALUES(1,'Junk',2,0);
INSERT INTO "subscription_all" VALUES(1,'Sent',2,0);
INSERT INTO "subscription_all" VALUES(1,'Trash',2,0);
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
INSERT INTO "sync_state" VALUES(1,7,-1,897783558,7,4,2,1,149,0);
CREATE TABLE thread_wanted (
    account_id INTEGER NOT NULL,
    message_ref TEXT NOT NULL,
    message_id INTEGER NOT NULL,
    distance INTEGER NOT NULL,
    PRIMARY KEY (account_id, message_ref, message_id)
) WITHOUT ROWID;
CREATE TABLE training_pending (
    account_id INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    PRIMARY KEY (account_id, message_id)
) WITHOUT ROWID;
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
CREATE UNIQUE INDEX mailbox_name ON mailbox_all (account_id, name) WHERE expunged = 0;
CREATE INDEX mailbox_modseq ON mailbox_all (account_id, modseq);
CREATE VIEW mailbox AS SELECT * FROM mailbox_all WHERE expunged = 0;
CREATE VIEW subscription AS SELECT * FROM subscription_all WHERE expunged = 0;
CREATE INDEX message_modseq ON message_hot (account_id, mailbox_id, modseq);
CREATE INDEX message_id ON message_hot (account_id, message_id);
CREATE INDEX message_received ON message_hot (account_id, mailbox_id, received_ms) WHERE expunged = 0;
CREATE VIEW message AS SELECT * FROM message_hot WHERE expunged = 0;
CREATE INDEX message_ref ON message_cold (account_id, message_ref, message_id);
CREATE INDEX message_subject ON message_cold (account_id, subject_base, mailbox_orig_id, received_ms)
    WHERE subject_base <> '';
CREATE INDEX message_thread ON message_cold (account_id, thread_id);
CREATE INDEX message_thread_modseq ON message_cold (account_id, thread_modseq) WHERE thread_modseq IS NOT NULL;
CREATE INDEX message_destined ON message_cold (account_id, message_id) WHERE mailbox_destined_id <> 0;
CREATE INDEX message_hash ON message_cold (account_id, message_hash) WHERE message_hash IS NOT NULL;
CREATE INDEX thread_wanted_message ON thread_wanted (account_id, message_id);
CREATE INDEX volume_hour ON volume (account_id, hour);
CREATE INDEX recipient_domain ON recipient (account_id, domain, sent_ms);
CREATE INDEX recipient_org_domain ON recipient (account_id, org_domain, sent_ms);
CREATE INDEX recipient_message ON recipient (account_id, message_id);
CREATE INDEX blob_unused ON blob (account_id, blob_id) WHERE refs = 0;
CREATE UNIQUE INDEX annotation_name ON annotation_all (account_id, mailbox_id, name) WHERE expunged = 0;
CREATE INDEX annotation_modseq ON annotation_all (account_id, modseq);
CREATE VIEW annotation AS SELECT * FROM annotation_all WHERE expunged = 0;
CREATE INDEX outgoing_submitted ON outgoing (account_id, submitted_ms);
CREATE INDEX outgoing_recipient ON outgoing (account_id, recipient, submitted_ms);
CREATE INDEX login_session_expires ON login_session (account_id, expires_ms);
COMMIT;
PRAGMA user_version = 1;
