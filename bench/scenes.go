package main

import (
	"time"

	"kentongan/bench/publish"
)

// Engines of the server.
const (
	memory = "memory"
	redis  = "redis"
)

// kind says what a scene measures.
type kind string

const (
	idle    kind = "idle"    // memory of connections on which nothing happens
	connect kind = "connect" // CPU time of a connection until its upgrade is answered
	fanOut  kind = "fan-out" // CPU time and latency of deliveries
)

// scene is one line of what is measured.
type scene struct {
	name    string
	kind    kind
	engines []string
	tenants int
	each    int // screens a tenant
	rate    int // fan-out: messages a second, to all tenants together; connect: connections a second, zero is as fast as it goes
	bytes   int // fan-out: of a message
	deflate bool
	v1      bool     // idle: kentongan.v1, with two channels followed by name
	tls     bool     // idle: over TLS; without a floor
	bare    bool     // without a floor to compare with: the floor does not deflate
	set     []string // settings of the server ("NAME=value")
	aim     aim      // what the engine is to reach
	bound   aim      // what it may not be worse than
}

// aim is what a scene should reach at most. Zero: nothing is promised.
type aim struct {
	ratio      float64       // of the server's CPU time to the floor's
	bytesEach  int64         // of memory, a connection
	cpu        time.Duration // of server CPU, a connection
	goroutines int           // at the end
}

// pace is how long everything takes.
type pace struct {
	rounds  int
	warm    time.Duration // of messages before the measured ones: the first ones fill caches, and the server tidies up after the connects
	window  time.Duration // of measured messages
	settle  time.Duration // between the last connect and the look at the memory: the runtime gives back what it does not use
	silence time.Duration // without a delivery, after which what is missing is lost
}

var (
	fullPace  = pace{rounds: 3, warm: 10 * time.Second, window: 10 * time.Second, settle: 8 * time.Second, silence: 3 * time.Second}
	quickPace = pace{rounds: 2, warm: 500 * time.Millisecond, window: 2 * time.Second, settle: 3 * time.Second, silence: 3 * time.Second}
)

// scenes returns what is measured. The quick ones have fewer connections, for opening them takes most of the time, but the
// same loads in the same bursts, so that the ratios can be compared.
func scenes(quick bool) []scene {
	both := []string{memory, redis}
	pick := func(full, fewer int) int {
		if quick {
			return fewer
		}
		return full
	}
	// As by default: who is counted takes memory.
	counted := []string{"KENTONGAN_MAX_TENANT_CONNECTIONS=5000", "KENTONGAN_MAX_USER_CONNECTIONS=500"}
	spread := scene{
		name: "spread", kind: fanOut, engines: both, tenants: pick(2000, 500), each: 5, rate: 4000, bytes: 300,
		aim: aim{ratio: 1.5}, bound: aim{ratio: 1.6},
	}
	forgetful := spread
	forgetful.name, forgetful.set, forgetful.aim = "spread-no-history", []string{"KENTONGAN_HISTORY_SIZE=0"}, aim{ratio: 1.3}
	joins, most := aim{cpu: 60 * time.Microsecond}, aim{cpu: 80 * time.Microsecond}
	return []scene{
		{
			name: "idle", kind: idle, engines: both, tenants: 3000, each: pick(5, 1), set: counted,
			aim: aim{bytesEach: 1 << 10, goroutines: 50}, bound: aim{bytesEach: 6 << 10},
		},
		{
			name: "idle-v1", kind: idle, engines: both, tenants: 3000, each: pick(5, 1), v1: true, set: counted, bare: true,
			aim: aim{bytesEach: 3 << 9, goroutines: 50}, bound: aim{bytesEach: 6 << 10},
		},
		{name: "idle-tls", kind: idle, engines: []string{memory}, tenants: pick(3000, 500), each: 1, tls: true, set: counted, bare: true},
		{name: "connect", kind: connect, engines: both, tenants: 500, each: pick(6, 2), rate: 500, aim: joins, bound: most},
		{name: "storm", kind: connect, engines: both, tenants: 500, each: pick(20, 4), aim: joins, bound: most},
		{
			name: "big-room", kind: fanOut, engines: both, tenants: 1, each: 1000, rate: 120, bytes: 300,
			aim: aim{ratio: 1.15}, bound: aim{ratio: 1.6},
		},
		spread, forgetful,
		{name: "flood", kind: fanOut, engines: both, tenants: 1, each: 1000, rate: 220, bytes: 300},
		{name: "plain-1k", kind: fanOut, engines: []string{memory}, tenants: 1, each: 500, rate: 60, bytes: 1000, bare: true},
		{
			name: "deflate-1k", kind: fanOut, engines: []string{memory},
			tenants: 1, each: 500, rate: 60, bytes: 1000, deflate: true, bare: true,
		},
	}
}

// screens returns how many connections s has.
func (s scene) screens() int { return s.tenants * s.each }

// load returns what is published in s.
func (s scene) load() publish.Load {
	return publish.Load{Tenants: s.tenants, Rate: s.rate, Bytes: s.bytes}
}
