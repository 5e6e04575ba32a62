-- What is told of deliveries to where their rules' `callback` says.
CREATE TABLE callback (
    id         INTEGER PRIMARY KEY,
    delivery   INTEGER NOT NULL REFERENCES delivery (id) ON DELETE CASCADE,
    bot        TEXT NOT NULL,
    rule       TEXT NOT NULL,
    wallet     TEXT NOT NULL,
    event      TEXT NOT NULL CHECK (event IN ('delivered', 'rejected', 'expired', 'replied')),
    -- The `webhook-id` and the body: the same on every try.
    webhook    TEXT NOT NULL UNIQUE,
    body       TEXT NOT NULL,
    state      TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead')),
    reason     TEXT,
    tries      INTEGER NOT NULL DEFAULT 0,
    created_ms INTEGER NOT NULL,
    -- Not tried before.
    due_ms     INTEGER NOT NULL,
    -- Given up after this, and how long that is from when it was made, or replayed.
    expires_ms INTEGER NOT NULL,
    life_ms    INTEGER NOT NULL,
    settled_ms INTEGER
) STRICT;
CREATE INDEX callback_due ON callback (bot, rule, due_ms) WHERE state = 'waiting';
CREATE INDEX callback_wallet ON callback (bot, wallet);
CREATE INDEX callback_delivery ON callback (delivery);

-- Deliveries that their wallets have not replied to, where that is to be told.
CREATE TABLE awaited_reply (
    delivery   INTEGER PRIMARY KEY REFERENCES delivery (id) ON DELETE CASCADE,
    bot        TEXT NOT NULL,
    wallet     TEXT NOT NULL,
    -- The conversation of the message.
    topic      TEXT NOT NULL,
    sealed_ms  INTEGER NOT NULL,
    -- Set where the reply came before the delivery was settled.
    replied_ms INTEGER
) STRICT;
CREATE INDEX awaited_reply_wallet ON awaited_reply (bot, wallet);
