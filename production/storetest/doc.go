// Package storetest is the contract of production.Store as tests, clause by clause. Every store passes [Run].
//
// [Model] is the contract in the plainest code, in memory: what stores are compared with, and a Store for tests of what
// needs one.
//
// Nothing in here measures time: what comes later is waited for, up to a limit that only a hanging store reaches.
package storetest
