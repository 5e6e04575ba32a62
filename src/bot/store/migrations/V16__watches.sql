-- Where what a rule watches stands, for each subject: a member, a row, or nobody in particular. One that is as at first has no row.
CREATE TABLE watched (
    bot      TEXT NOT NULL,
    rule     TEXT NOT NULL,
    trigger  TEXT NOT NULL,
    subject  TEXT NOT NULL,
    -- Since when its condition has held at every reading; none while it does not.
    since_ms INTEGER,
    -- Whether it has fired and is not cleared yet.
    fired    INTEGER NOT NULL,
    -- How often it has fired.
    edges    INTEGER NOT NULL,
    -- Its last value as JSON, where the rule waits for a change.
    value    TEXT,
    PRIMARY KEY (bot, rule, trigger, subject)
) STRICT, WITHOUT ROWID;
