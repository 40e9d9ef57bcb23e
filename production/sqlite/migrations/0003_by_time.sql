-- Events and keys lie in the order of their instants: n is the instant, times 2^20, and a number that tells those of one millisecond apart. So a new
-- one goes behind all others, on a page that is in hand, and an old one is found without an index of instants: two pages less of what each
-- change of a batch writes.
CREATE TABLE events_by_time (
    n          INTEGER PRIMARY KEY,
    tenant     TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    id         TEXT NOT NULL,
    channel    TEXT NOT NULL,
    production TEXT NOT NULL,
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    money      INTEGER NOT NULL,
    payload    BLOB,
    UNIQUE (tenant, seq)
) STRICT;
INSERT INTO events_by_time (n, tenant, seq, id, channel, production, version, at, money, payload)
    SELECT at * 1048576 + row_number() OVER (PARTITION BY at ORDER BY tenant, seq), tenant, seq, id, channel, production, version, at, money, payload
    FROM events ORDER BY at, tenant, seq;
DROP TABLE events;
ALTER TABLE events_by_time RENAME TO events;

CREATE TABLE keys_by_time (
    n           INTEGER PRIMARY KEY,
    tenant      TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    at          INTEGER NOT NULL,
    result      BLOB,
    UNIQUE (tenant, key)
) STRICT;
INSERT INTO keys_by_time (n, tenant, key, fingerprint, at, result)
    SELECT at * 1048576 + row_number() OVER (PARTITION BY at ORDER BY tenant, key), tenant, key, fingerprint, at, result
    FROM keys ORDER BY at, tenant, key;
DROP TABLE keys;
ALTER TABLE keys_by_time RENAME TO keys;
