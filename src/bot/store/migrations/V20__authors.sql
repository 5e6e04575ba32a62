-- Whose words a message holds, where it goes to somebody else: with that wallet they are forgotten.
ALTER TABLE delivery ADD COLUMN author TEXT;
