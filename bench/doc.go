// Bench measures the server against a floor.
//
// It builds the server, starts it as a child, drives it over loopback with crowds of WebSocket connections, and prints
// what a delivered message costs. The floor, a program that does nothing but take a message in and write it to the sockets
// of its tenant, is measured in the same run, in turn with the server, and the table has the ratio of the two: absolute
// figures change with the machine and with who else uses it, ratios hardly do.
//
// A trial is a scene of another kind: lines are cut, a node is killed, an attack begins. There is no floor in it; it has a list of
// figures, and nothing may be lost.
//
//	go run ./bench --quick           about five minutes
//	go run ./bench                   about twenty-five minutes
//	go run ./bench --all             and the trials of more than a minute
//	go run ./bench --only jitter     scenes and trials by name
//	go run ./bench --peers           with node ws, Socket.IO and Bun beside the server; make peers installs them
//	go run ./bench --json run.json   and all figures of all rounds
//
// It ends with 1 if a message was lost, doubled or misdirected, by the floor or by the server, and with 2 if it could not
// measure. It needs Linux, and redis-server for the scenes with Redis.
//
// The rooms: drive is the crowd, publish sends, floor is the floor, mark and latency are what they
// share, and peers are other servers. scenes.go lists what is measured, and a new scene is a new line there; trials_linux.go lists the
// trials, each of which has a file.
package main
