-- What the audience gave a row: its variables, as a JSON record, and the list that named the wallet.
ALTER TABLE delivery ADD COLUMN vars TEXT;
ALTER TABLE delivery ADD COLUMN list TEXT;

-- How often the audience could not be resolved, and when it is tried again.
ALTER TABLE occurrence ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE occurrence ADD COLUMN due_ms INTEGER NOT NULL DEFAULT 0;
-- How many runs of its audience stand in `audience_row`.
ALTER TABLE occurrence ADD COLUMN runs INTEGER NOT NULL DEFAULT 0;
-- Set once every branch is read: the cutoffs of the samples, as JSON.
ALTER TABLE occurrence ADD COLUMN staged TEXT;
CREATE INDEX occurrence_runs ON occurrence (bot, id) WHERE runs > 0;
-- Plans go on in the order of the wallets' bytes; those begun in another order begin again, which adds no row twice.
UPDATE occurrence SET planned_to = '' WHERE state = 'planning';

-- A large audience while it is resolved. A run is what memory held when it was written, in order; plans merge the runs.
CREATE TABLE audience_row (
    occurrence INTEGER NOT NULL REFERENCES occurrence (id),
    run        INTEGER NOT NULL,
    wallet     BLOB NOT NULL,
    branch     INTEGER NOT NULL,
    vars       TEXT,
    PRIMARY KEY (occurrence, run, wallet, branch)
) STRICT, WITHOUT ROWID;

-- Rows of an audience that could not be read.
CREATE TABLE broken_row (
    occurrence INTEGER NOT NULL REFERENCES occurrence (id),
    branch     INTEGER NOT NULL,
    -- The line of a file (its header is line 1), or the number of the row or item, from 1.
    number     INTEGER NOT NULL,
    source     TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (occurrence, branch, number)
) STRICT, WITHOUT ROWID;
