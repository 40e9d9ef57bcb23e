package main

import (
	"fmt"
	"time"
)

// engine is what the server runs on.
type engine string

const (
	memory   engine = "memory"
	redis    engine = "redis"
	sentinel engine = "sentinel" // the redis engine, with a primary, a replica and three Sentinels
	cluster  engine = "cluster"  // the redis engine, with a Cluster of three primaries and three replicas
	night    engine = "night"    // that behind nginx with TLS, and the production service on PostgreSQL
)

// watched reports whether Sentinels say where the primary is.
func (e engine) watched() bool { return e == sentinel || e == night }

// scene is one run: a stand, a load, and faults.
type scene struct {
	name    string // of the faults, for the table
	engine  engine
	sockets string // KENTONGAN_SOCKETS; empty or auto: what the server chooses
	nodes   int
	seed    uint64
	faults  []fault
	count   int           // faults to inject in all
	overlap int           // that may be in the air at once
	inOrder bool          // the faults come in their order, and not in a random one
	pause   time.Duration // between two faults, on average; short ones follow each other when the last has healed
	pace    pace
	clients int
	rate    int // messages a second, of all publishers together
	pad     int // bytes that make messages longer
}

func (s *scene) String() string {
	sockets := ""
	if s.sockets != "" && s.sockets != "auto" {
		sockets = ", " + s.sockets + " sockets"
	}
	return fmt.Sprintf("%s, %s engine%s, %d nodes, seed %d", s.name, s.engine, sockets, s.nodes, s.seed)
}

// pace is how long faults last.
type pace struct {
	redisPause   time.Duration
	gatewayPause []time.Duration // in turn
	awayMost     time.Duration   // of clients; the least is a second
	halfOpen     time.Duration
	slow         time.Duration
}

var (
	smallPace = pace{
		redisPause: 3 * time.Second, gatewayPause: []time.Duration{2 * time.Second}, awayMost: 4 * time.Second,
		halfOpen: 4 * time.Second, slow: 3 * time.Second,
	}
	fullPace = pace{
		redisPause: 8 * time.Second, gatewayPause: []time.Duration{5 * time.Second, 5 * time.Second, 30 * time.Second},
		awayMost: 20 * time.Second, halfOpen: 5 * time.Second, slow: 8 * time.Second,
	}
	longPace = pace{
		redisPause: 8 * time.Second, gatewayPause: []time.Duration{5 * time.Second, 30 * time.Second},
		awayMost: 110 * time.Second, halfOpen: 5 * time.Second, slow: 8 * time.Second,
	}
)
