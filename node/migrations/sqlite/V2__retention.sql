-- How far each kind of topics was swept: everything up to this arrival was looked at.
CREATE TABLE swept (
    kind     TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
