// Package stand is what the chaos runs break: real processes of the server's binary, of redis-server and of Sentinel, each in
// a folder and on ports of its own, and the links between them, which can fall silent in one direction as a broken network does.
//
// Everything that it starts dies with it.
package stand
