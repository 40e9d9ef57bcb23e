// Chaos breaks the server on purpose, under load, and proves what every client got: nothing lost, nothing twice, nothing
// out of order, nothing to the wrong tenant, every gap declared.
//
//	go run ./chaos                                a small mixture of everything, about two minutes
//	go run ./chaos --mix ci                       each fault alone and all together, about half an hour
//	go run ./chaos --faults F1,F9 --engine redis  some of them
//	go run ./chaos --seed 7                       again, what a run with that seed did
//	go run ./chaos --engine night                 everything restarted, one part after another: a minute and a half
//
// It builds the server and starts it with a Redis of its own, lets publishers send numbered messages through every door and
// clients of all dialects follow them, injects faults, waits until everything has been quiet, and compares what both sides have
// written down. It ends with 1 if any count is not zero, or if nothing happened, and with 2 if it could not try.
//
// The rooms: check judges, payload is what a message carries, client and publish are the two sides, stand has the processes and
// links that are broken, and liar is a gateway that is wrong on purpose, for a checker that finds nothing proves nothing.
// faults_linux.go lists what can go wrong; a new fault is a new line there. night_linux.go is the rolling restart of everything, and
// kitchen_linux.go the kitchen whose record goes on meanwhile.
package main
