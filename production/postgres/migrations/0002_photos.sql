-- The bytes of photos; what is known of one is its entry, of the kind photo. They are compressed already, so the database does not try.
CREATE TABLE kentongan.photos (
	tenant text COLLATE "C" NOT NULL,
	batch  text COLLATE "C" NOT NULL,
	id     text COLLATE "C" NOT NULL,
	data   bytea NOT NULL,
	PRIMARY KEY (tenant, batch, id)
);
ALTER TABLE kentongan.photos ALTER COLUMN data SET STORAGE EXTERNAL;
