-- Where a row counts in its broadcast.
ALTER TABLE delivery ADD COLUMN standing TEXT
    AS (CASE WHEN parked = 1 THEN 'held' WHEN state IN ('planned', 'sealed') THEN 'left' ELSE state END) VIRTUAL;

-- How far broadcasts are: an occurrence's own messages (no follow-ups) up to the delivery `last` by where they stand, so that a look
-- costs the same however many they are. One row for all of them, and one for its canary once that is let out.
CREATE TABLE tally (
    occurrence INTEGER NOT NULL REFERENCES occurrence (id),
    last       INTEGER NOT NULL,
    delivered  INTEGER NOT NULL DEFAULT 0,
    rejected   INTEGER NOT NULL DEFAULT 0,
    expired    INTEGER NOT NULL DEFAULT 0,
    skipped    INTEGER NOT NULL DEFAULT 0,
    held       INTEGER NOT NULL DEFAULT 0,
    -- On their way.
    under_way  INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (occurrence, last)
) STRICT, WITHOUT ROWID;

INSERT INTO tally
SELECT occurrence, 9223372036854775807, sum(standing = 'delivered'), sum(standing = 'rejected'), sum(standing = 'expired'),
       sum(standing = 'skipped'), sum(standing = 'held'), sum(standing = 'left')
FROM delivery WHERE occurrence IS NOT NULL AND part < 256 GROUP BY occurrence;
INSERT INTO tally
SELECT delivery.occurrence, canary_to, sum(standing = 'delivered'), sum(standing = 'rejected'), sum(standing = 'expired'),
       sum(standing = 'skipped'), sum(standing = 'held'), sum(standing = 'left')
FROM delivery JOIN occurrence AS o ON o.id = delivery.occurrence
WHERE part < 256 AND delivery.id <= canary_to GROUP BY delivery.occurrence;

-- Whoever moves a row, and for whatever reason, moves its counts with it.
CREATE TRIGGER delivery_moves AFTER UPDATE OF state, parked ON delivery
WHEN new.standing != old.standing AND new.occurrence IS NOT NULL AND new.part < 256
BEGIN
    UPDATE tally SET
        delivered = delivered + (new.standing = 'delivered') - (old.standing = 'delivered'),
        rejected = rejected + (new.standing = 'rejected') - (old.standing = 'rejected'),
        expired = expired + (new.standing = 'expired') - (old.standing = 'expired'),
        skipped = skipped + (new.standing = 'skipped') - (old.standing = 'skipped'),
        held = held + (new.standing = 'held') - (old.standing = 'held'),
        under_way = under_way + (new.standing = 'left') - (old.standing = 'left')
    WHERE occurrence = new.occurrence AND last >= new.id;
END;
