-- Who is written to about which case, so that what they write finds it.
CREATE TABLE flow_person (
    bot    TEXT NOT NULL,
    wallet TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (bot, wallet, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX flow_person_case ON flow_person (bot, number);

INSERT OR IGNORE INTO flow_person (bot, wallet, number)
    SELECT flow.bot, person.value, flow.number
    FROM flow, json_each(flow.stand, '$.people') AS person
    WHERE flow.number IS NOT NULL;
