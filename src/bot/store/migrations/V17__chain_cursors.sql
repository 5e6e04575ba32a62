-- How far the logs that a rule waits for have been read, and the block that reading began with.
CREATE TABLE chain_cursor (
    id      INTEGER PRIMARY KEY,
    bot     TEXT NOT NULL,
    rule    TEXT NOT NULL,
    trigger TEXT NOT NULL,
    first   INTEGER NOT NULL,
    UNIQUE (bot, rule, trigger)
) STRICT;

-- Blocks that were read lately, the last one being where the cursor stands. What the chain has instead of one of them is read anew.
CREATE TABLE chain_block (
    cursor INTEGER NOT NULL REFERENCES chain_cursor (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    -- How many of its logs became occurrences.
    logs   INTEGER NOT NULL,
    PRIMARY KEY (cursor, number)
) STRICT, WITHOUT ROWID;
