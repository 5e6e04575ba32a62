CREATE TABLE envelope (
    -- Order of arrival over all nodes; live streams follow it. Assigned by publish(), never reused.
    sequence     bigint PRIMARY KEY,
    topic        text COLLATE "C" NOT NULL,
    -- The sender's clock, never changed by a node.
    timestamp_ns bigint NOT NULL,
    -- The node's clock, never answered.
    received_ns  bigint NOT NULL,
    -- SHA-256(topic text || message): second part of the answer order, and the check of a row that is read.
    digest       bytea NOT NULL,
    message      bytea NOT NULL
);

-- Ciphertext does not compress.
ALTER TABLE envelope ALTER COLUMN message SET STORAGE EXTERNAL;

-- Identity of an envelope and order of every query in one index. With the topic as a column of its own, moving bytes
-- between topic and message never makes two envelopes one.
CREATE UNIQUE INDEX envelope_order ON envelope (topic, timestamp_ns, digest) INCLUDE (sequence);

-- Envelopes that are only passed on, until every node has had the time to see them. A crash of the server may lose them.
CREATE UNLOGGED TABLE relayed (
    sequence     bigint PRIMARY KEY,
    topic        text COLLATE "C" NOT NULL,
    timestamp_ns bigint NOT NULL,
    received_ns  bigint NOT NULL,
    message      bytea NOT NULL
);

-- The newest arrival. Whoever publishes holds this row until his commit is visible, so arrivals become visible in the
-- order of their numbers, and a reader who has seen one has seen all before it.
CREATE TABLE arrival (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    head bigint NOT NULL
) WITH (fillfactor = 10);
INSERT INTO arrival (head) VALUES (0);

-- Stores a group of envelopes in one round trip and one transaction, and wakes the other nodes once. Returns the newest
-- arrival before the group and the numbers of those that are new; the n-th envelope has the number `before + n`.
CREATE FUNCTION publish(
    topics text[], timestamps_ns bigint[], digests bytea[], messages bytea[], ephemeral boolean[], received_ns bigint
) RETURNS TABLE (before bigint, new bigint[]) LANGUAGE plpgsql AS $$
DECLARE
    base     bigint;
    stored   bigint[];
BEGIN
    SELECT head INTO base FROM arrival FOR UPDATE;
    WITH inserted AS (
        INSERT INTO envelope (sequence, topic, timestamp_ns, received_ns, digest, message)
        SELECT base + row.number, row.topic, row.timestamp_ns, publish.received_ns, row.digest, row.message
        FROM unnest(topics, timestamps_ns, digests, messages, ephemeral)
            WITH ORDINALITY AS row (topic, timestamp_ns, digest, message, ephemeral, number)
        WHERE NOT row.ephemeral
        ON CONFLICT (topic, timestamp_ns, digest) DO NOTHING
        RETURNING sequence
    )
    SELECT coalesce(array_agg(sequence), '{}') INTO stored FROM inserted;
    IF true = ANY (ephemeral) THEN
        INSERT INTO relayed (sequence, topic, timestamp_ns, received_ns, message)
        SELECT base + row.number, row.topic, row.timestamp_ns, publish.received_ns, row.message
        FROM unnest(topics, timestamps_ns, messages, ephemeral)
            WITH ORDINALITY AS row (topic, timestamp_ns, message, ephemeral, number)
        WHERE row.ephemeral;
    END IF;
    UPDATE arrival SET head = base + cardinality(topics);
    PERFORM pg_notify('herald_arrivals', '');
    RETURN QUERY SELECT base, stored;
END
$$;
