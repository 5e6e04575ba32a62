-- What a rule reads again and again, a feed or a poll, and when it did last; none before the first time.
CREATE TABLE reading (
    id      INTEGER PRIMARY KEY,
    bot     TEXT NOT NULL,
    rule    TEXT NOT NULL,
    trigger TEXT NOT NULL,
    read_ms INTEGER,
    UNIQUE (bot, rule, trigger)
) STRICT;

-- What was read of each item last. An item that is gone stays: one that comes back is no news.
CREATE TABLE reading_item (
    reading INTEGER NOT NULL REFERENCES reading (id) ON DELETE CASCADE,
    -- The digest of what it is told from others by.
    item    BLOB NOT NULL,
    -- The digest of what counts as a change of it.
    version BLOB NOT NULL,
    -- How often it changed, or 1.
    changes INTEGER NOT NULL,
    -- The item as it was, where the rule asks for it.
    value   TEXT,
    PRIMARY KEY (reading, item)
) STRICT, WITHOUT ROWID;
