// Package access gives each HTTP request an id, and writes one line for it: what was asked for, how it was answered, and how long that
// took.
//
// Of the address only the pattern of the route stands in a line, never the path or the query: they hold what is nobody's business, tickets
// among it. Whoever finds out who asks adds that with [Note.Identify].
package access
