-- Which rows go first: 0 bulk, 1 normal, 2 urgent.
ALTER TABLE delivery ADD COLUMN priority INTEGER NOT NULL DEFAULT 1;
DROP INDEX delivery_due;
CREATE INDEX delivery_due ON delivery (bot, priority, due_ms) WHERE settled_ms IS NULL;

-- Wallets that have written to a bot.
CREATE TABLE writer (
    bot    TEXT NOT NULL,
    wallet TEXT NOT NULL,
    PRIMARY KEY (bot, wallet)
) STRICT, WITHOUT ROWID;
