-- When the digest is due that a row belongs to, and the row whose message it is part of.
ALTER TABLE delivery ADD COLUMN period_ms INTEGER;
ALTER TABLE delivery ADD COLUMN carrier INTEGER REFERENCES delivery (id);
CREATE INDEX delivery_carrier ON delivery (carrier) WHERE carrier IS NOT NULL;
