-- For a list of more than two values SQLite builds an index whenever it checks one, three times in the life of a delivery. Comparisons
-- say the same.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (state IN (''planned'', ''held'', ''sealed'', ''delivered'', ''rejected'', ''expired'', ''skipped''))',
    'CHECK (state = ''planned'' OR state = ''sealed'' OR state = ''delivered'' OR state = ''held'' OR state = ''skipped''
            OR state = ''expired'' OR state = ''rejected'')')
WHERE type = 'table' AND name = 'delivery';
PRAGMA writable_schema = RESET;
