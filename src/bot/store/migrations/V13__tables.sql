-- Rows that people own, of a bot's tables.
CREATE TABLE table_row (
    bot        TEXT NOT NULL,
    name       TEXT NOT NULL,
    owner      TEXT NOT NULL,
    -- Counts per owner from 1.
    id         INTEGER NOT NULL,
    columns    TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (bot, name, owner, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX table_row_owner ON table_row (bot, owner);

-- The newest id that an owner's row had: one that is gone is not given again.
CREATE TABLE table_owner (
    bot     TEXT NOT NULL,
    name    TEXT NOT NULL,
    owner   TEXT NOT NULL,
    last_id INTEGER NOT NULL,
    PRIMARY KEY (bot, name, owner)
) STRICT, WITHOUT ROWID;
