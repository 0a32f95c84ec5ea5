-- Operations on many messages that are counted and acknowledged, but not yet done to the rows of the messages; see
-- store/deferred.py. `spans` are ranges of UIDs, pairs of little-endian 32-bit numbers: all live messages in them are meant.
CREATE TABLE flag_change (
    account_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    spans BLOB NOT NULL,
    -- The new flags are flags & ~clear_flags | set_flags.
    set_flags INTEGER NOT NULL,
    clear_flags INTEGER NOT NULL,
    PRIMARY KEY (account_id, modseq)
) WITHOUT ROWID;

CREATE TABLE message_expunge (
    account_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    spans BLOB NOT NULL,
    PRIMARY KEY (account_id, modseq)
) WITHOUT ROWID;

CREATE TABLE message_copy (
    account_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    spans BLOB NOT NULL,
    target_id INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    -- The first ones of the copies.
    uid INTEGER NOT NULL,
    message_id INTEGER NOT NULL,
    save_ms INTEGER NOT NULL,
    PRIMARY KEY (account_id, modseq)
) WITHOUT ROWID;
