-- How many ham and spam messages a word was in (`mox.junk`), and how many messages were learned.
CREATE TABLE junk_word (
    account_id INTEGER NOT NULL,
    word TEXT NOT NULL,
    ham INTEGER NOT NULL,
    spam INTEGER NOT NULL,
    PRIMARY KEY (account_id, word)
) WITHOUT ROWID;

CREATE TABLE junk_total (
    account_id INTEGER PRIMARY KEY,
    ham INTEGER NOT NULL,
    spam INTEGER NOT NULL
);
