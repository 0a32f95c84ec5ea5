-- Content of files that may not be on disk yet; see store/fresh.py. One tree, because every delivery writes here.
CREATE TABLE blob_fresh (
    blob_id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    content BLOB NOT NULL
);
