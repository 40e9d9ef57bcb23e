-- The kitchens' records. Whole records are JSON, written by production/internal/rows: instants are milliseconds since 1970 in
-- UTC, temperatures and weights tenths, money whole rupiah. Columns beside the JSON are what is looked for, ordered or counted
-- by; they follow from the record. An instant of 0 is one that is not known.
--
-- Texts compare by their bytes (COLLATE "C"), whatever the database was made with, so that places in lists mean the same to
-- the program and to the database. Keys that come from outside are bytea: they may be any bytes.

-- One row a tenant that has anything stored. Every commit of the tenant locks it first and keeps it to its end: that gives
-- the numbers of events and of the audit trail their order, and compares revisions while nobody else can write. It is narrow,
-- for it is written with each commit.
CREATE TABLE kentongan.heads (
	tenant      text COLLATE "C" PRIMARY KEY,
	event_seq   bigint NOT NULL DEFAULT 0,      -- of the newest event
	audit_seq   bigint NOT NULL DEFAULT 0,      -- of the newest entry of the trail
	audit_hash  bytea  NOT NULL DEFAULT '',     -- of that entry
	sent_seq    bigint NOT NULL DEFAULT 0,      -- of the newest event that was published
	waiting     bigint,                         -- instant of event sent_seq + 1; null: nothing waits
	lease_owner text,                           -- who publishes them at the moment
	lease_until timestamptz                     -- by this database's clock
) WITH (fillfactor = 50);
CREATE INDEX heads_waiting ON kentongan.heads (waiting, tenant) WHERE waiting IS NOT NULL;

CREATE TABLE kentongan.kitchens (
	tenant    text COLLATE "C" PRIMARY KEY,
	revision  bigint NOT NULL,
	next_look bigint NOT NULL,
	doc       json NOT NULL,
	settled   json NOT NULL
);
CREATE INDEX kitchens_next_look ON kentongan.kitchens (next_look, tenant) WHERE next_look <> 0;

CREATE TABLE kentongan.batches (
	tenant        text COLLATE "C" NOT NULL,
	id            text COLLATE "C" NOT NULL,
	revision      bigint NOT NULL,
	day           text COLLATE "C" NOT NULL,     -- 2026-11-26, in the zone of the kitchen
	planned_start bigint NOT NULL,
	status        text COLLATE "C" NOT NULL,
	menu          text COLLATE "C" NOT NULL,
	number        text COLLATE "C" NOT NULL,     -- BATCH-20261126-0001
	number_of_day bigint NOT NULL,               -- the 1 of that; 0: it is no such number
	portions      bigint NOT NULL,               -- planned ones
	search        text COLLATE "C" NOT NULL,     -- number and name of the menu as they are searched
	next_look     bigint NOT NULL,
	deleted_at    bigint NOT NULL,
	doc           json NOT NULL,
	facts         json NOT NULL,
	PRIMARY KEY (tenant, id)
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX batches_number ON kentongan.batches (tenant, number) WHERE number <> '';
CREATE INDEX batches_day ON kentongan.batches (tenant, day, planned_start, id);
CREATE INDEX batches_open ON kentongan.batches (tenant, day, planned_start, id)
	WHERE status NOT IN ('COMPLETED', 'CANCELLED') AND deleted_at = 0;
CREATE INDEX batches_next_look ON kentongan.batches (next_look, tenant, id) WHERE next_look <> 0 AND deleted_at = 0;

-- What is added to a batch: readings, checks, samples, dispatches, corrections. n is the order in which it was added.
CREATE TABLE kentongan.entries (
	tenant  text COLLATE "C" NOT NULL,
	batch   text COLLATE "C" NOT NULL,
	kind    text COLLATE "C" NOT NULL,
	n       bigint GENERATED ALWAYS AS IDENTITY,
	id      text COLLATE "C" NOT NULL,
	doc     json NOT NULL,
	PRIMARY KEY (tenant, batch, kind, n),
	UNIQUE (tenant, batch, kind, id)
);

-- batch is '' for those of the kitchen. That there is one active alert a batch and code is checked when a commit ends: it may
-- resolve one and raise the next in any order.
CREATE TABLE kentongan.alerts (
	tenant    text COLLATE "C" NOT NULL,
	id        text COLLATE "C" NOT NULL,
	batch     text COLLATE "C" NOT NULL,
	code      text COLLATE "C" NOT NULL,
	severity  smallint NOT NULL,                 -- its rank
	active    boolean NOT NULL,
	raised_at bigint NOT NULL,
	doc       json NOT NULL,
	PRIMARY KEY (tenant, id),
	CONSTRAINT alerts_one_active EXCLUDE USING btree (tenant WITH =, batch WITH =, code WITH =) WHERE (active)
		DEFERRABLE INITIALLY DEFERRED
);
CREATE INDEX alerts_raised ON kentongan.alerts (tenant, raised_at, id);
CREATE INDEX alerts_batch ON kentongan.alerts (tenant, batch, raised_at, id);

-- Staff, menus, programmes.
CREATE TABLE kentongan.listed (
	tenant text COLLATE "C" NOT NULL,
	kind   text COLLATE "C" NOT NULL,
	id     text COLLATE "C" NOT NULL,
	name   text COLLATE "C" NOT NULL,
	pin    text COLLATE "C" NOT NULL,            -- hash; of staff only
	doc    json NOT NULL,
	PRIMARY KEY (tenant, kind, id)
);

-- Answers to idempotency keys.
CREATE TABLE kentongan.keys (
	tenant      text COLLATE "C" NOT NULL,
	key         bytea NOT NULL,
	fingerprint bytea NOT NULL,
	at          bigint NOT NULL,
	result      bytea,                           -- null: none was given
	PRIMARY KEY (tenant, key)
);
CREATE INDEX keys_at ON kentongan.keys (at);

-- What apps published by themselves, as it came.
CREATE TABLE kentongan.observations (
	tenant  text COLLATE "C" NOT NULL,
	id      bytea NOT NULL,
	at      bigint NOT NULL,
	batch   bytea NOT NULL,
	payload bytea,
	flags   json NOT NULL,
	flagged boolean NOT NULL,
	PRIMARY KEY (tenant, id)
);
CREATE INDEX observations_newest ON kentongan.observations (tenant, at, id);
CREATE INDEX observations_flagged ON kentongan.observations (tenant, at, id) WHERE flagged;
CREATE INDEX observations_at ON kentongan.observations (at);

-- The audit trail. Rows are added only; each has the hash of the one before it.
CREATE TABLE kentongan.audit (
	tenant text COLLATE "C" NOT NULL,
	seq    bigint NOT NULL,
	detail bytea,                                -- one JSON text, as it was hashed; null: none
	doc    json NOT NULL,                        -- the rest
	PRIMARY KEY (tenant, seq)
);

-- The outbox: what has happened, as it goes to the screens.
CREATE TABLE kentongan.events (
	tenant  text COLLATE "C" NOT NULL,
	seq     bigint NOT NULL,
	id      text COLLATE "C" NOT NULL,
	channel text COLLATE "C" NOT NULL,
	batch   text COLLATE "C" NOT NULL,
	version bigint NOT NULL,
	at      bigint NOT NULL,
	money   boolean NOT NULL,
	payload bytea,
	PRIMARY KEY (tenant, seq)
);
CREATE INDEX events_at ON kentongan.events (at);

-- Where the newest published event of each channel stands in the broker.
CREATE TABLE kentongan.positions (
	tenant  text COLLATE "C" NOT NULL,
	channel text COLLATE "C" NOT NULL,
	epoch   text COLLATE "C" NOT NULL,
	"offset" bigint NOT NULL,                    -- the bits of an unsigned number
	PRIMARY KEY (tenant, channel)
);

-- Calls for people who should have answered an alert, for webhooks.
CREATE TABLE kentongan.notices (
	tenant      text COLLATE "C" NOT NULL,
	id          text COLLATE "C" NOT NULL,
	alert       text COLLATE "C" NOT NULL,
	at          bigint NOT NULL,
	payload     bytea,
	attempts    bigint NOT NULL,
	next_try    bigint NOT NULL,
	last_error  bytea NOT NULL,                  -- cut at a number of bytes, so it may end inside of a character
	done        boolean NOT NULL DEFAULT false,
	lease_owner text,
	lease_until timestamptz,
	PRIMARY KEY (tenant, id)
);
CREATE INDEX notices_open ON kentongan.notices (at, tenant, id) WHERE NOT done;
CREATE INDEX notices_done ON kentongan.notices (at) WHERE done;
