-- The first schema. Instants are milliseconds since 1970; doc is a record as JSON (production/internal/rows), and the columns beside it
-- are what the database has to look for, order by or keep unique.

-- The ends of a tenant's outbox and audit trail. A tenant has its row from its first commit on.
CREATE TABLE heads (
    tenant      TEXT PRIMARY KEY,
    seq         INTEGER NOT NULL, -- number of the newest event
    sent        INTEGER NOT NULL, -- and of the newest that was published
    waiting     INTEGER,          -- the instant of the oldest event that was not; NULL: none waits
    lease_owner TEXT NOT NULL,    -- who publishes them
    lease_until INTEGER NOT NULL,
    audit_seq   INTEGER NOT NULL, -- number and hash of the newest audit entry
    audit_hash  BLOB NOT NULL
) WITHOUT ROWID, STRICT;
CREATE INDEX heads_waiting ON heads (waiting, tenant) WHERE waiting IS NOT NULL;

CREATE TABLE kitchens (
    tenant    TEXT PRIMARY KEY,
    revision  INTEGER NOT NULL,
    next_look INTEGER NOT NULL,
    doc       TEXT NOT NULL,
    settled   TEXT NOT NULL -- a JSON list
) STRICT;
CREATE INDEX kitchens_due ON kitchens (next_look, tenant) WHERE next_look <> 0;

CREATE TABLE productions (
    n             INTEGER PRIMARY KEY, -- what entries refer to
    tenant        TEXT NOT NULL,
    id            TEXT NOT NULL,
    revision      INTEGER NOT NULL,
    day           TEXT NOT NULL,
    planned_start INTEGER NOT NULL,
    status        TEXT NOT NULL,
    open          INTEGER NOT NULL, -- 1: neither final nor deleted
    deleted       INTEGER NOT NULL, -- when; 0: it is not
    next_look     INTEGER NOT NULL, -- 0 of a deleted one
    menu          TEXT NOT NULL,
    portions      INTEGER NOT NULL, -- planned ones
    batch_number  TEXT NOT NULL,
    number        INTEGER NOT NULL, -- the NNNN of batch_number
    search        TEXT NOT NULL,    -- what is looked for in lists, in small letters
    doc           TEXT NOT NULL,
    facts         TEXT NOT NULL,
    UNIQUE (tenant, id)
) STRICT;
CREATE UNIQUE INDEX productions_number ON productions (tenant, batch_number) WHERE batch_number <> '';
CREATE INDEX productions_place ON productions (tenant, day, planned_start, id);
CREATE INDEX productions_open ON productions (tenant, day, planned_start, id) WHERE open = 1;
CREATE INDEX productions_due ON productions (next_look, tenant, id) WHERE next_look <> 0;

-- What was added to a batch: readings, checks, samples, dispatches, corrections. The revision that a row came with and its
-- place in that commit are the order of adding.
CREATE TABLE entries (
    production INTEGER NOT NULL REFERENCES productions (n),
    kind       TEXT NOT NULL,
    revision   INTEGER NOT NULL,
    place      INTEGER NOT NULL,
    id         TEXT NOT NULL,
    doc        TEXT NOT NULL,
    PRIMARY KEY (production, kind, revision, place),
    UNIQUE (production, kind, id)
) WITHOUT ROWID, STRICT;

CREATE TABLE alerts (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    production TEXT NOT NULL, -- '': the alert is the kitchen's
    code       TEXT NOT NULL,
    severity   INTEGER NOT NULL, -- its rank
    active     INTEGER NOT NULL,
    raised     INTEGER NOT NULL,
    doc        TEXT NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE UNIQUE INDEX alerts_active ON alerts (tenant, production, code) WHERE active = 1;
CREATE INDEX alerts_place ON alerts (tenant, raised, id);
CREATE INDEX alerts_production ON alerts (tenant, production, raised, id);

-- Staff, menus and programmes.
CREATE TABLE lists (
    tenant TEXT NOT NULL,
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    name   TEXT NOT NULL,
    pin    TEXT NOT NULL, -- of a person: the hash
    doc    TEXT NOT NULL,
    PRIMARY KEY (tenant, kind, id)
) WITHOUT ROWID, STRICT;
CREATE INDEX lists_name ON lists (tenant, kind, name, id);

CREATE TABLE keys (
    tenant      TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    at          INTEGER NOT NULL,
    result      BLOB,
    PRIMARY KEY (tenant, key)
) STRICT;
CREATE INDEX keys_at ON keys (at);

-- The outbox. Rows that were sent stay for a while.
CREATE TABLE events (
    tenant     TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    id         TEXT NOT NULL,
    channel    TEXT NOT NULL,
    production TEXT NOT NULL,
    version    INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    money      INTEGER NOT NULL,
    payload    BLOB,
    PRIMARY KEY (tenant, seq)
) WITHOUT ROWID, STRICT;
CREATE INDEX events_at ON events (at);

-- Where the newest published event of each channel stands.
CREATE TABLE positions (
    tenant  TEXT NOT NULL,
    channel TEXT NOT NULL,
    epoch   TEXT NOT NULL,
    offset  INTEGER NOT NULL, -- unsigned, as the same 64 bits
    PRIMARY KEY (tenant, channel)
) WITHOUT ROWID, STRICT;

CREATE TABLE notices (
    tenant      TEXT NOT NULL,
    id          TEXT NOT NULL,
    alert       TEXT NOT NULL,
    at          INTEGER NOT NULL,
    payload     BLOB,
    attempts    INTEGER NOT NULL,
    next_try    INTEGER NOT NULL,
    last_error  TEXT NOT NULL,
    done        INTEGER NOT NULL,
    lease_owner TEXT NOT NULL,
    lease_until INTEGER NOT NULL,
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX notices_waiting ON notices (at, tenant, id) WHERE done = 0;
CREATE INDEX notices_done ON notices (at) WHERE done = 1;

-- Nothing in here is ever changed or deleted.
CREATE TABLE audit (
    tenant     TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    taken_at   INTEGER NOT NULL,
    user       TEXT NOT NULL,
    role       TEXT NOT NULL,
    person     TEXT NOT NULL,
    action     TEXT NOT NULL,
    production TEXT NOT NULL,
    version    INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    detail     BLOB,
    prev       BLOB NOT NULL, -- hash of the entry before
    hash       BLOB NOT NULL,
    PRIMARY KEY (tenant, seq)
) WITHOUT ROWID, STRICT;

CREATE TABLE observations (
    tenant     TEXT NOT NULL,
    id         TEXT NOT NULL,
    at         INTEGER NOT NULL,
    production TEXT NOT NULL,
    payload    BLOB,
    flags      TEXT, -- a JSON list; NULL: none
    PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX observations_place ON observations (tenant, at, id);
CREATE INDEX observations_flagged ON observations (tenant, at, id) WHERE flags IS NOT NULL;
CREATE INDEX observations_at ON observations (at);
