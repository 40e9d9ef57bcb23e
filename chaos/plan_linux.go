package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	Seed    uint64 `help:"Repeats the faults of a run; 0 takes one from the clock." placeholder:"N"`
	Mix     string `help:"small: all at once; ci, release: each alone, then all at once." enum:"small,ci,release" default:"small"`
	Faults  string `help:"Only these, each alone, and F18 for all of them at once. Their names are below." placeholder:"F1,F3"`
	Count   int    `help:"How many of each fault; 0 leaves it to --mix." placeholder:"N"`
	Engine  string `help:"What the server runs on: ${enum}." enum:"memory,redis,sentinel,cluster,every,night" default:"every"`
	Sockets string `help:"What carries the connections: ${enum}." enum:"auto,epoll,portable" default:"auto"`
	Nodes   int    `help:"Gateways on one Redis." default:"2" placeholder:"N"`
	Clients int    `help:"Clients; 0 means 54 or, with --mix small, 27." placeholder:"N"`
	Rate    int    `help:"Messages a second of all publishers together; 0 means 500 or, with --mix small, 200." placeholder:"N"`
	Server  string `help:"A server program that is built already." placeholder:"PATH"`
	Race    bool   `help:"Build the server with the race detector."`
	Keep    string `help:"Keep histories and logs of a run that fails in a folder here." placeholder:"DIR"`
	Judge   string `help:"Judge a run again that was kept in this folder, and do nothing else." placeholder:"DIR"`
	JSON    string `help:"Write the figures here too, as JSON." name:"json" placeholder:"FILE"`
}

// Help is what --help adds.
func (*options) Help() string {
	var text strings.Builder
	text.WriteString(`Builds the server, starts it with a Redis of its own, and breaks both under load: publishers send numbered messages
through every door, clients of all dialects follow them over all of it, and at the end it compares what both sides
have written down. The columns from lost to indeterminate have to be 0; the exit code is 1 if one is not, or if
nothing happened, and 2 if it could not try.

Faults:

`)
	for _, f := range allFaults() {
		fmt.Fprintf(&text, "  %-4s %s\n", f.name, f.does)
	}
	text.WriteString(`  F18  a mixture of all that the engine knows, three at once

Only when it is asked for, with --engine night: two gateways behind nginx with TLS, Redis with Sentinels, the production
service on PostgreSQL, and every part of it is restarted, one after another.

Examples:

  go run ./chaos --faults F1 --engine redis --count 200

  go run ./chaos --mix ci --seed 7 --keep /tmp/chaos`)
	return text.String()
}

// plan returns the scenes that the options ask for.
func (o *options) plan() ([]scene, error) {
	if engine(o.Engine) == night {
		return o.night()
	}
	engines := []engine{engine(o.Engine)}
	if o.Engine == "every" {
		engines = []engine{memory, redis, sentinel, cluster}
	}
	names := o.Faults
	if names == "" {
		if names = "all,F18"; o.Mix == "small" {
			names = "F18"
		}
	}
	var scenes []scene
	for _, e := range engines {
		more, err := o.scenes(e, names)
		if err != nil {
			return nil, err
		}
		scenes = append(scenes, more...)
	}
	if len(scenes) == 0 {
		return nil, fmt.Errorf("the engine %s knows none of the faults %s", o.Engine, names)
	}
	return scenes, nil
}

// night returns the scene of the rolling restart of everything. Its parts come all, once, and in order.
func (o *options) night() ([]scene, error) {
	if o.Faults != "" || o.Count > 0 {
		return nil, errors.New("the night does everything once and in order: leave --faults and --count out")
	}
	s := o.base(night)
	s.name, s.faults, s.inOrder = "night", nightSteps(), true
	s.count = len(s.faults)
	return []scene{s}, nil
}

// mixture is the name of all faults at once.
const mixture = "F18"

// scenes returns those of one engine.
func (o *options) scenes(e engine, names string) ([]scene, error) {
	var single []fault
	mixed := false
	for _, name := range splitNames(names) {
		if name == mixture {
			mixed = true
			continue
		}
		chosen, err := choose(name, e)
		if err != nil {
			return nil, err
		}
		single = append(single, chosen...)
	}
	var scenes []scene
	for _, f := range single {
		scenes = append(scenes, o.alone(e, f)...)
	}
	if mixed {
		all, err := choose("all", e)
		if err == nil && (e == sentinel || e == cluster) {
			var more []fault // a failover alone is hardly a mixture
			for _, name := range []string{"F1", "F2", "F11", "F12", "F13"} {
				var one []fault
				one, err = choose(name, redis)
				more = append(more, one...)
			}
			all = append(all, more...)
		}
		if err != nil {
			return nil, err
		}
		scenes = append(scenes, o.mixed(e, all, o.base(e).nodes)...)
		if e == redis && o.Mix != "small" && o.Nodes < moreNodes {
			scenes = append(scenes, o.mixed(e, all, moreNodes)...)
		}
	}
	return scenes, nil
}

// base is a scene without faults.
func (o *options) base(e engine) scene {
	s := scene{
		engine: e, sockets: o.Sockets, nodes: o.Nodes, seed: o.Seed, overlap: 1, pause: 400 * time.Millisecond, pace: fullPace,
		clients: 54, rate: 500,
	}
	switch o.Mix {
	case "small":
		s.pace, s.clients, s.rate = smallPace, 27, 200
	case "release":
		s.pace = longPace
	}
	if e == memory {
		s.nodes = 1
	}
	if o.Clients > 0 {
		s.clients = o.Clients
	}
	if o.Rate > 0 {
		s.rate = o.Rate
	}
	return s
}

// roundFaults is how many faults one stand lives through. Histories are held in memory, so a long run is many of these.
const roundFaults = 100

// alone returns the scenes of one fault: one, or many in a long run.
func (o *options) alone(e engine, f fault) []scene {
	s := o.base(e)
	s.name, s.faults, s.pad = f.name, []fault{f}, f.pad
	switch {
	case o.Count > 0:
		s.count = o.Count
	case o.Mix == "small":
		s.count = max(1, f.ci/10)
	case o.Mix == "ci":
		s.count = f.ci
	default:
		s.count = f.release
	}
	if f.name == "F12" || f.name == "F13" {
		s.overlap = 3 // they last, and each is of other clients
	}
	return inRounds(s)
}

// moreNodes is how many share one Redis in a second mixture, where one that is hurt leaves two.
const moreNodes = 3

// mixed returns the scenes of all faults at once.
func (o *options) mixed(e engine, all []fault, nodes int) []scene {
	s := o.base(e)
	s.name, s.faults, s.overlap, s.nodes = mixture, all, 3, nodes
	switch {
	case o.Count > 0:
		s.count = o.Count
	case o.Mix == "small":
		s.count = len(all)
	case o.Mix == "ci":
		s.count = 30
	default:
		s.count = 250
	}
	if (e == sentinel || e == cluster) && o.Count == 0 && o.Mix != "small" {
		s.count /= 2 // each failover takes its time
	}
	return inRounds(s)
}

func inRounds(s scene) []scene {
	var rounds []scene
	for left := s.count; left > 0; left -= roundFaults {
		one := s
		one.count = min(left, roundFaults)
		one.seed += uint64(len(rounds))
		rounds = append(rounds, one)
	}
	return rounds
}
