-- What a bot has listened to and since when.
CREATE TABLE bot (
    bot           TEXT PRIMARY KEY,
    wallet        TEXT NOT NULL,
    -- Messages sent before this are history and not answered (nanoseconds).
    listens_ns    INTEGER NOT NULL,
    -- The newest message handled (nanoseconds).
    read_ns       INTEGER NOT NULL
) STRICT;

-- Messages that were handled, so that each is handled once across restarts.
CREATE TABLE handled (
    bot     TEXT NOT NULL,
    message BLOB NOT NULL,
    sent_ns INTEGER NOT NULL,
    PRIMARY KEY (bot, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX handled_sent ON handled (bot, sent_ns);

-- Where each scheduled trigger stands.
CREATE TABLE schedule (
    bot       TEXT NOT NULL,
    rule      TEXT NOT NULL,
    trigger   TEXT NOT NULL,
    first_ms  INTEGER NOT NULL,
    -- The last instant dealt with; none before the first.
    fired_ms  INTEGER,
    PRIMARY KEY (bot, rule, trigger)
) STRICT, WITHOUT ROWID;

CREATE TABLE member (
    bot       TEXT NOT NULL,
    list      TEXT NOT NULL,
    wallet    TEXT NOT NULL,
    fields    TEXT NOT NULL,
    joined_ms INTEGER NOT NULL,
    PRIMARY KEY (bot, list, wallet)
) STRICT, WITHOUT ROWID;
CREATE INDEX member_wallet ON member (bot, wallet);

-- Wallets that said a leave word and have not joined again: no rule writes to them, whatever its consent.
CREATE TABLE departure (
    bot     TEXT NOT NULL,
    wallet  TEXT NOT NULL,
    left_ms INTEGER NOT NULL,
    PRIMARY KEY (bot, wallet)
) STRICT, WITHOUT ROWID;

-- A trigger that fired. `occurrence` is the trigger's own id, `key` what the rule dedupes by.
CREATE TABLE occurrence (
    id         INTEGER PRIMARY KEY,
    bot        TEXT NOT NULL,
    rule       TEXT NOT NULL,
    occurrence TEXT NOT NULL,
    key        TEXT NOT NULL,
    at_ms      INTEGER NOT NULL,
    -- The names the trigger gives, as JSON.
    names      TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('planning', 'planned', 'skipped', 'rejected')),
    reason     TEXT,
    -- The last wallet whose row is planned.
    planned_to TEXT NOT NULL DEFAULT '',
    UNIQUE (bot, rule, occurrence),
    UNIQUE (bot, rule, key)
) STRICT;
CREATE INDEX occurrence_planning ON occurrence (bot, id) WHERE state = 'planning';

-- One message to one wallet.
CREATE TABLE delivery (
    id          INTEGER PRIMARY KEY,
    bot         TEXT NOT NULL,
    rule        TEXT NOT NULL,
    key         TEXT NOT NULL,
    wallet      TEXT NOT NULL,
    part        INTEGER NOT NULL,
    -- None for answers, whose text is in `body` from the start; a rule's text is rendered when due.
    occurrence  INTEGER REFERENCES occurrence (id),
    body        TEXT,
    -- The topic of the conversation an answer goes to: the one it was asked in.
    conversation TEXT,
    state       TEXT NOT NULL
                CHECK (state IN ('planned', 'held', 'sealed', 'delivered', 'rejected', 'expired', 'skipped')),
    reason      TEXT,
    -- How long a held row waits at the most.
    until_ms    INTEGER,
    created_ms  INTEGER NOT NULL,
    -- Not looked at before.
    due_ms      INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    tried_ms    INTEGER,
    -- The encoded publish request, sealed once: the same bytes go out on every try.
    request     BLOB,
    envelope    BLOB,
    message     BLOB,
    sealed_ms   INTEGER,
    settled_ms  INTEGER,
    UNIQUE (bot, rule, key, wallet, part)
) STRICT;
CREATE INDEX delivery_due ON delivery (bot, due_ms) WHERE settled_ms IS NULL;
CREATE INDEX delivery_open ON delivery (bot, wallet, id) WHERE settled_ms IS NULL;
-- What the bot wrote lately.
CREATE INDEX delivery_written ON delivery (bot, sealed_ms) WHERE sealed_ms IS NOT NULL;
-- Rule messages that count towards the limits of a wallet.
CREATE INDEX delivery_sealed ON delivery (bot, wallet, sealed_ms) WHERE sealed_ms IS NOT NULL AND occurrence IS NOT NULL;
