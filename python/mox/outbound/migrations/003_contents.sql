-- Contents of small messages; those of larger ones are files of the same name.
CREATE TABLE contents (
    file TEXT PRIMARY KEY,
    content BLOB NOT NULL
);
