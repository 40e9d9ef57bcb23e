// Package watch is the alert engine: it looks at batches and kitchens when time alone may have changed something, and commits what the
// rules say. The rules are production.Look; a due time is stored with each batch, so a timer survives a restart by being a row.
//
// All nodes on a database look. Two that look at the same moment decide the same, and the store lets one of them commit: the other one
// reads again and finds nothing to do. What a pass costs depends on how many are due, not on how many there are.
package watch
