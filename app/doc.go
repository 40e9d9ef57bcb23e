// Package app is the composition root: it builds every part of the server from a config.Config, runs them, and stops
// them in order. It is the only package that knows all others.
//
// Stopping goes from the outside in: no new connections, then the clients are sent away over the drain time, then
// the doors close, the hub, and last the engine, so that what was taken in is still delivered.
package app
