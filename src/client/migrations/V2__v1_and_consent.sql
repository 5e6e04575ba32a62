-- V1 conversations stand beside V2 ones, and decisions on who may write are kept. What is here can be read from the network again, so it is, once.
DROP TABLE conversation;
DROP TABLE account;

-- One row an account: how far its invite and intro topics and its consent log were read. A wallet has an account on each network it was used on.
CREATE TABLE account (
    network TEXT NOT NULL,
    wallet  TEXT NOT NULL,
    lists_read_ns INTEGER NOT NULL DEFAULT 0,
    preferences_read_ns INTEGER NOT NULL DEFAULT 0,
    -- The digest of the newest pre-key the lists were read with.
    pre_key BLOB,
    PRIMARY KEY (network, wallet)
) STRICT, WITHOUT ROWID;

-- Conversations known to be on the network. `sealed` holds the peer, in V2 also topic key and context, encrypted to the
-- account's own keys.
CREATE TABLE conversation (
    network    TEXT NOT NULL,
    wallet     TEXT NOT NULL,
    topic      TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    -- The digest of the invitation's or intro's envelope, so that it is not opened again.
    envelope   BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (network, wallet, topic)
) STRICT, WITHOUT ROWID;

-- Entries of the consent log as the network has them: sealed to the account's own keys.
CREATE TABLE preference (
    network    TEXT NOT NULL,
    wallet     TEXT NOT NULL,
    written_ns INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (network, wallet, written_ns, sealed)
) STRICT, WITHOUT ROWID;
