-- Topics are interned: a topic text is some 80 bytes and would stand in the row and in the index of every envelope.
CREATE TABLE topic (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE envelope (
    -- Order of arrival, assigned by the one writer; live streams follow it.
    sequence     INTEGER PRIMARY KEY,
    topic        INTEGER NOT NULL REFERENCES topic (id),
    -- The sender's clock, never changed by the node.
    timestamp_ns INTEGER NOT NULL,
    -- The node's clock, never answered.
    received_ns  INTEGER NOT NULL,
    -- SHA-256(topic text || message): second part of the answer order, and the check of a row that is read.
    digest       BLOB NOT NULL,
    -- Last, so that the columns before it are read without touching overflow pages.
    message      BLOB NOT NULL
) STRICT;

-- Identity of an envelope and order of every query in one index. With the topic as a column of its own the digest depends
-- on the message only, so moving bytes between topic and message never makes two envelopes one.
CREATE UNIQUE INDEX envelope_order ON envelope (topic, timestamp_ns, digest);
