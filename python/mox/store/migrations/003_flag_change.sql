-- Changes of flags that are recorded and acknowledged, but not yet done to the rows of the messages; see store/deferred.py.
CREATE TABLE flag_change (
    account_id INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    mailbox_id INTEGER NOT NULL,
    -- Ranges of UIDs, pairs of little-endian 32-bit numbers: all live messages in them are meant.
    spans BLOB NOT NULL,
    -- The new flags are flags & ~clear_flags | set_flags.
    set_flags INTEGER NOT NULL,
    clear_flags INTEGER NOT NULL,
    PRIMARY KEY (account_id, modseq)
) WITHOUT ROWID;
