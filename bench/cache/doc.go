// Cache measures the cache beside others, in one run, on a Redis of its own: otter, what its memory tier is made of; rueidisaside;
// eko/gocache with ristretto and with Redis; plain go-redis; and the app's own loop, as cache/testdata/app.mjs has it, on ioredis.
//
//	make bench-cache
//
// It is a Go module apart, so that none of these is a dependency of the server. Figures are of this machine at this moment; each
// row has the ratio to ours. It needs redis-server, and node with the npm packages of internal/testenv/npm for the app's loop.
package main
