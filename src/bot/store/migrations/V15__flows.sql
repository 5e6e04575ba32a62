-- Who wrote of late, and how the bot answered: what keeps it from answering without end.
CREATE TABLE talker (
    bot      TEXT NOT NULL,
    wallet   TEXT NOT NULL,
    heard_ms INTEGER NOT NULL,
    -- JSON.
    state    TEXT NOT NULL,
    PRIMARY KEY (bot, wallet)
) STRICT, WITHOUT ROWID;
CREATE INDEX talker_heard ON talker (bot, heard_ms);

-- Where each wallet is in the flow that is open for it.
CREATE TABLE flow (
    bot     TEXT NOT NULL,
    wallet  TEXT NOT NULL,
    flow    TEXT NOT NULL,
    state   TEXT NOT NULL,
    -- The number of its case once it is forwarded.
    number  INTEGER,
    -- The first instant at which time alone does something; none.
    due_ms  INTEGER,
    -- The rest, as JSON.
    stand   TEXT NOT NULL,
    PRIMARY KEY (bot, wallet)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_due ON flow (bot, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX flow_case ON flow (bot, number) WHERE number IS NOT NULL;

-- The newest number that a case of a bot had.
CREATE TABLE flow_number (
    bot  TEXT PRIMARY KEY,
    last INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
