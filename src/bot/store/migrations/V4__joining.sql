-- What the sender of a webhook was answered, so that a redelivery gets the same: `{"status": …, "json": …}`. None where the rule says
-- nothing of it.
ALTER TABLE occurrence ADD COLUMN answer TEXT;
-- The time zone whose members it addresses; none for all.
ALTER TABLE occurrence ADD COLUMN zone TEXT;
-- When a rule fired last.
CREATE INDEX occurrence_fired ON occurrence (bot, rule, at_ms) WHERE state <> 'skipped';

-- Proofs that wallets want to be written to by the bot: the newest of each.
CREATE TABLE proof (
    bot       TEXT NOT NULL,
    wallet    TEXT NOT NULL,
    -- `0x` and 130 hex digits.
    signature TEXT NOT NULL,
    -- When it was signed.
    signed_ms INTEGER NOT NULL,
    PRIMARY KEY (bot, wallet)
) STRICT, WITHOUT ROWID;

-- What a wallet told the bot of itself that belongs to no list.
CREATE TABLE person (
    bot    TEXT NOT NULL,
    wallet TEXT NOT NULL,
    -- When it is not to be written to, by its own clock: `22:00-08:00`, with days or without.
    quiet  TEXT,
    PRIMARY KEY (bot, wallet)
) STRICT, WITHOUT ROWID;
