-- What wallets hold of a token, summed up from its logs; one that is not used any more has no `used_ms` and is taken apart.
CREATE TABLE ledger (
    id       INTEGER PRIMARY KEY,
    -- The chain's number (EIP-155).
    chain    INTEGER NOT NULL,
    token    BLOB NOT NULL,
    -- The id within the token, 32 bytes; empty for all of it.
    item     BLOB NOT NULL,
    -- The block that it ends with; -1 for one that goes on with the chain.
    ends     INTEGER NOT NULL,
    -- What the token is by its logs, once there is one: 20, 721 or 1155.
    standard INTEGER,
    used_ms  INTEGER
) STRICT;

CREATE UNIQUE INDEX ledger_of ON ledger (chain, token, item, ends) WHERE used_ms IS NOT NULL;

-- Blocks that were read up to lately, the last one being where the ledger stands.
CREATE TABLE ledger_block (
    ledger INTEGER NOT NULL REFERENCES ledger (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    PRIMARY KEY (ledger, number)
) STRICT, WITHOUT ROWID;

-- Balances are 32 bytes, the highest first, so that they compare as numbers. Who holds nothing has no row.
CREATE TABLE ledger_balance (
    ledger  INTEGER NOT NULL REFERENCES ledger (id) ON DELETE CASCADE,
    wallet  BLOB NOT NULL,
    balance BLOB NOT NULL,
    PRIMARY KEY (ledger, wallet)
) STRICT, WITHOUT ROWID;

-- What a wallet held before what was read up to a block; none for nothing. It comes back when the block leaves the chain.
CREATE TABLE ledger_undo (
    ledger  INTEGER NOT NULL REFERENCES ledger (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL,
    wallet  BLOB NOT NULL,
    balance BLOB,
    PRIMARY KEY (ledger, number, wallet)
) STRICT, WITHOUT ROWID;
