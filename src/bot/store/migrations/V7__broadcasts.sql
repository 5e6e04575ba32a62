-- Whether the rows of an occurrence may go: 'open'; 'approval', until somebody approves it; 'canary', while the first of them
-- are looked at; 'opening', while rows are let out; 'paused'; 'cancelled'.
ALTER TABLE occurrence ADD COLUMN gate TEXT NOT NULL DEFAULT 'open'
    CHECK (gate IN ('open', 'approval', 'canary', 'opening', 'paused', 'cancelled'));
ALTER TABLE occurrence ADD COLUMN gate_reason TEXT;
-- When the canary was let out, and its last row.
ALTER TABLE occurrence ADD COLUMN canary_ms INTEGER;
ALTER TABLE occurrence ADD COLUMN canary_to INTEGER;
CREATE INDEX occurrence_gate ON occurrence (bot, gate) WHERE gate != 'open';
-- A row that waits behind the gate of its occurrence; it is due when it expires.
ALTER TABLE delivery ADD COLUMN parked INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_occurrence ON delivery (occurrence, parked, id) WHERE occurrence IS NOT NULL;
-- What of a broadcast is not done: it keeps looks at broadcasts free of their history.
CREATE INDEX delivery_unsettled ON delivery (occurrence, parked) WHERE settled_ms IS NULL AND occurrence IS NOT NULL;
