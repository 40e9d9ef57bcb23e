package redis

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/nap"
)

// In a Cluster everything of ours lies in one slot, for the names of all keys begin with the same hash tag: so each script has what it
// needs in one place, as in a single Redis. The node that has the slot is the primary; when the slot moves, to a replica that is promoted
// or to another node, the primary has moved. Load is not spread by it.
const (
	clusterTag   = "{kentongan}:"
	clusterSlot  = 5906  // of that tag
	clusterSlots = 16384 // that there are
)

// cluster is a finder: it asks nodes of the Cluster who has our slot. A node that takes a slot over, or is promoted, has a higher epoch
// than the one before it.
type cluster struct {
	opts *Options

	mu    sync.Mutex
	nodes []string // that the last answers named; an installation that lists one node of six survives the end of that one
}

// maxClusterAsked bounds how many nodes are asked at once.
const maxClusterAsked = 9

func (c *cluster) name() string { return "slot " + strconv.Itoa(clusterSlot) }

// asked returns whom to ask: those that the options list, and some others.
func (c *cluster) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.opts.Cluster)
	for _, n := range c.nodes {
		if len(all) < maxClusterAsked && !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// find implements finder.
func (c *cluster) find(ctx context.Context, known place) (place, error) {
	asked := c.asked()
	return choose(askAll(ctx, asked, c.askOne), len(asked), known)
}

// askOne asks one node.
func (c *cluster) askOne(ctx context.Context, address string) (place, error) {
	conn, a, err := dialAsker(ctx, address, c.opts.TLS, c.opts.Username, c.opts.Password)
	if err == nil {
		defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
		defer func() { _ = conn.Close() }() // it has answered, or never will
		var found place
		if found, err = c.ask(a, address); err == nil {
			return found, nil
		}
	}
	return place{}, fmt.Errorf("node %s of the Cluster: %w", address, err)
}

// ask asks who has the slot, and notes who else there is.
func (c *cluster) ask(a *asker, address string) (place, error) {
	replies, err := a.ask([]string{"CLUSTER", "SLOTS"}, []string{"CLUSTER", "NODES"})
	if err != nil {
		return place{}, err
	}
	found, all, err := readSlots(replies[0], replies[1], address)
	if err != nil {
		return place{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = all
	return found, nil
}

var errNoCluster = errors.New("it is no node of a Cluster; use REDIS_URL for a single Redis, and REDIS_SENTINELS for one with Sentinels")

// readSlots finds our slot in the answer to CLUSTER SLOTS, which has the addresses that clients shall use, and the epoch of its node in the
// one to CLUSTER NODES. all are the addresses of all nodes that have slots. The node at address says nothing of its own, or of all, if it
// does not know under which address it is reached.
func readSlots(slots, nodes reply, address string) (found place, all []string, err error) {
	switch {
	case strings.Contains(slots.refusal, "cluster support disabled"):
		return found, nil, errNoCluster
	case slots.refusal != "":
		return found, nil, errors.New(slots.refusal)
	case nodes.refusal != "":
		return found, nil, errors.New(nodes.refusal)
	}
	here, _, err := net.SplitHostPort(address)
	if err != nil {
		return found, nil, err
	}
	id := ""
	for _, r := range slots.list {
		if len(r.list) < 3 {
			return found, nil, errProtocol
		}
		first, err1 := strconv.Atoi(r.list[0].text)
		last, err2 := strconv.Atoi(r.list[1].text)
		if err1 != nil || err2 != nil {
			return found, nil, errProtocol
		}
		for i, n := range r.list[2:] {
			if len(n.list) < 3 {
				return found, nil, errProtocol
			}
			host := n.list[0].text
			if host == "" || host == "?" {
				host = here
			}
			at := net.JoinHostPort(host, n.list[1].text)
			if !slices.Contains(all, at) {
				all = append(all, at)
			}
			if i == 0 && first <= clusterSlot && clusterSlot <= last {
				found.address, id = at, n.list[2].text
			}
		}
	}
	if id == "" {
		return found, nil, fmt.Errorf("no node has slot %d", clusterSlot)
	}
	found.epoch, err = epochOfNode(nodes.text, id)
	return found, all, err
}

// epochOfNode finds the epoch of a node in lines like
//
//	ID IP:PORT@BUS,HOST FLAGS PRIMARY PING PONG EPOCH LINK SLOTS…
func epochOfNode(nodes, id string) (uint64, error) {
	for line := range strings.Lines(nodes) {
		if words := strings.Fields(line); len(words) >= 8 && words[0] == id {
			epoch, err := strconv.ParseUint(words[6], 10, 64)
			if err != nil {
				return 0, fmt.Errorf("the epoch of a node is no number: %.40q", words[6])
			}
			return epoch, nil
		}
	}
	return 0, errors.New("it names a node that it does not know")
}

const (
	// clusterEvery is how often a node is asked: nobody tells of a slot that moves while its owner stands still, or is cut off.
	clusterEvery = time.Second

	// clusterOften is the same while the primary is out, and everybody waits.
	clusterOften = 100 * time.Millisecond

	// clusterTurn is how often the same node is asked before another one is: it may be cut off itself.
	clusterTurn = 10
)

// hear implements finder. It asks one node again and again, over one connection; what is new is then asked of many.
func (c *cluster) hear(ctx context.Context, out func() bool, tell func()) {
	last, quiet := place{}, false // quiet: it was said that one does not answer
	for {
		address := c.witness(last.address)
		err := c.hearOne(ctx, address, out, func(found place) {
			if quiet = false; found != last {
				last = found
				tell()
			}
		})
		if ctx.Err() != nil {
			return
		}
		if err != nil && !quiet {
			c.opts.Log.Warn("node of the Cluster does not answer", "address", address, "err", err) // another one is asked
			quiet = true
		}
		if err != nil && !nap.For(ctx, clusterOften) {
			return
		}
	}
}

// witness returns somebody to ask who is not the primary, if there is anybody else.
func (c *cluster) witness(primary string) string {
	all := c.asked()
	others := slices.DeleteFunc(slices.Clone(all), func(a string) bool { return a == primary })
	if len(others) == 0 {
		others = all
	}
	return others[rand.IntN(len(others))] //nolint:gosec // spread, not secrecy
}

// hearOne asks one node for a while.
func (c *cluster) hearOne(ctx context.Context, address string, out func() bool, found func(place)) error {
	conn, a, err := dialAsker(ctx, address, c.opts.TLS, c.opts.Username, c.opts.Password)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }() // it is given up
	for range clusterTurn {
		p, err := c.ask(a, address)
		if err != nil {
			return err
		}
		found(p)
		for wait := clusterEvery; wait > 0; wait -= clusterOften {
			if !nap.For(ctx, clusterOften) {
				return ctx.Err()
			}
			if out() {
				break
			}
		}
	}
	return nil
}

// errSlotGone ends a connection when Redis takes the subscriptions of the slot away: then it is not here any more.
var errSlotGone = errors.New("the slot is at another node now")

// errClusterDown says what a node means with CLUSTERDOWN, whichever of its reasons it gives: they all end in the same way.
var errClusterDown = fmt.Errorf("the Cluster is not well: slot %d, in which all is kept, or another one has no node, or most of its "+
	"nodes do not answer; nothing is stored until a replica has taken over or a node is back", clusterSlot)

// moving is part of what a script is told that has to look for what is not here, while the slot is being moved; see place.lua.
const moving = "access a non local key in a cluster node"

// elsewhere returns why Redis has done nothing, if err says that: it does not have the slot (moved), or gives it away just now, or the
// Cluster is not well. Whatever is not here may be elsewhere then, so nothing may be concluded from it.
func elsewhere(err error) (moved bool, why error) {
	said, ok := errors.AsType[*rueidis.RedisError](err)
	if !ok {
		return false, nil
	}
	return refusedBySlot(said.Error())
}

// inWords returns what people are told of err: of a slot that is elsewhere Redis itself only says ASK 5906 10.0.0.2:6379.
func inWords(err error) error {
	if _, why := elsewhere(err); why != nil {
		return why
	}
	return err
}

func refusedBySlot(text string) (moved bool, why error) {
	word, _, _ := strings.Cut(text, " ")
	switch {
	case word == "MOVED":
		return true, errSlotGone
	case word == "ASK", word == "TRYAGAIN", strings.Contains(text, moving):
		return false, fmt.Errorf("slot %d, in which all is kept, is being moved to another node: nothing is stored until that is done",
			clusterSlot)
	case word == "CLUSTERDOWN", strings.Contains(text, "while the cluster is down"):
		return false, errClusterDown
	}
	return false, nil
}
