-- Who may publish and who may not, as `herald node access` sets it beside the running nodes.
CREATE TABLE access (
    -- A wallet, an IP address or a range of them; in lower case.
    subject    text COLLATE "C" PRIMARY KEY,
    permission text NOT NULL CHECK (permission IN ('allow', 'deny')),
    -- The clock of whoever set it.
    since_ns   bigint NOT NULL,
    comment    text NOT NULL
);

-- One row, counted up with every change: a node that looks each second reads the list only then.
CREATE TABLE access_version (
    version bigint NOT NULL
);
INSERT INTO access_version (version) VALUES (0);
