// Package schema says whether publications fit the JSON Schema (2020-12) of their channels.
//
// A [Schema] is compiled once; a [Set] has those of all channel patterns, with a [Mode] each. The schemas of what the existing app
// publishes are part of the binary ([Default]). A schema refers to nothing outside of its own file, or of those that are part of the
// binary: nothing is loaded from a disk or a network when a message comes.
package schema
