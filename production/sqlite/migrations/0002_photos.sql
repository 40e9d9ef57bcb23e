-- The bytes of photos; what is known of one is its entry, of the kind photo. They are apart, so that whoever reads the entries of a batch
-- does not read over them.
CREATE TABLE photos (
    production INTEGER NOT NULL REFERENCES productions (n),
    id         TEXT NOT NULL,
    data       BLOB NOT NULL,
    PRIMARY KEY (production, id)
) STRICT;
