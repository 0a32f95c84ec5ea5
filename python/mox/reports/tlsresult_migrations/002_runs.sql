-- Runs of reports that some process has taken on.
CREATE TABLE runs (
    name TEXT PRIMARY KEY,
    taken_ms INTEGER NOT NULL
);
