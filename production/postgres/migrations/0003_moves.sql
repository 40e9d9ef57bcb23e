-- How many commits of the tenant there were that changed a batch, the kitchen, the events or the trail. A node that finds the number of its
-- own last commit here knows that what it remembers of the tenant's batches is what is stored.
ALTER TABLE kentongan.heads ADD COLUMN moves bigint NOT NULL DEFAULT 0;
