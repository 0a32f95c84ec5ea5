-- A row for each policy domain of a report that is ours; names are in Unicode, the report is JSON.
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    domain TEXT NOT NULL,
    from_domain TEXT NOT NULL,
    mail_from TEXT NOT NULL,
    is_host INTEGER NOT NULL,
    begin_ms INTEGER NOT NULL,
    end_ms INTEGER NOT NULL,
    report TEXT NOT NULL
);
CREATE INDEX reports_domain ON reports (domain, begin_ms);
