-- An answer that is no text: the encoded content, or as JSON the file that becomes one when the row is due.
ALTER TABLE delivery ADD COLUMN content BLOB;
ALTER TABLE delivery ADD COLUMN file TEXT;
-- The id of the conversation that a row was sealed for.
ALTER TABLE delivery ADD COLUMN thread TEXT;

-- Files outside of messages: each is uploaded once for an occurrence, whoever gets it.
CREATE TABLE upload (
    bot         TEXT NOT NULL,
    rule        TEXT NOT NULL,
    key         TEXT NOT NULL,
    part        INTEGER NOT NULL,
    -- The encoded content that names the file and holds its key.
    content     BLOB NOT NULL,
    -- None while it may not be where the content says.
    uploaded_ms INTEGER,
    PRIMARY KEY (bot, rule, key, part)
) STRICT, WITHOUT ROWID;
