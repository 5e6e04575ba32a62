-- Who may publish and who may not, as `herald node access` sets it beside the running node.
CREATE TABLE access (
    -- A wallet, an IP address or a range of them; in lower case.
    subject    TEXT PRIMARY KEY,
    permission TEXT NOT NULL CHECK (permission IN ('allow', 'deny')),
    -- The clock of whoever set it.
    since_ns   INTEGER NOT NULL,
    comment    TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row, counted up with every change: a node that looks each second reads the list only then.
CREATE TABLE access_version (
    version INTEGER NOT NULL
) STRICT;
INSERT INTO access_version (version) VALUES (0);
