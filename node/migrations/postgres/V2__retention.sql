-- How far each kind of topics was swept: everything up to this arrival was looked at.
CREATE TABLE swept (
    kind     text PRIMARY KEY,
    sequence bigint NOT NULL
);
