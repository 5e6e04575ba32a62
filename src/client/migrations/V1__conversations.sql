-- One row an account: how far its invite topic was read. A wallet has an account on each network it was used on.
CREATE TABLE account (
    network TEXT NOT NULL,
    wallet  TEXT NOT NULL,
    invites_read_ns INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (network, wallet)
) STRICT, WITHOUT ROWID;

-- Conversations known to be on the network. `sealed` holds peer, topic key and context, encrypted to the account's own keys.
CREATE TABLE conversation (
    network    TEXT NOT NULL,
    wallet     TEXT NOT NULL,
    topic      TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    -- SHA-256 of the invitation, so that it is not opened again.
    invitation BLOB NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (network, wallet, topic)
) STRICT, WITHOUT ROWID;
