// Package sharedtest has a Redis that is only simulated, for tests that decide what happens when, and the suite that it and the real
// one have to pass. It also has the app: it reads and writes as the app does, and takes no notice of the cache.
package sharedtest

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"kentongan/cache/shared"
)

// Server is the simulated Redis. Each act is one step, by time.Now.
type Server struct {
	mu     sync.Mutex
	values map[string]value
	sets   map[string]map[string]bool
	hashes map[string]shared.Epochs
	gone   map[string]int64
	claims map[string]time.Time
	chores []chore
	nodes  []*Node
	down   bool
	last   int64
	ids    int
	record []recorded

	// MaxAtOnce is from how many entries on a tag becomes a chore; zero means 4.
	MaxAtOnce int
}

type value struct {
	text string
	ends time.Time
}

type chore struct {
	at         int64
	kind, what string
}

// NewServer returns an empty Server.
func NewServer() *Server {
	return &Server{
		values: map[string]value{}, sets: map[string]map[string]bool{}, hashes: map[string]shared.Epochs{},
		gone: map[string]int64{}, claims: map[string]time.Time{},
	}
}

var errDown = errors.New("connection refused")

// now is in microseconds and never the same twice.
func (s *Server) now() int64 {
	s.last = max(time.Now().UnixMicro(), s.last+1)
	return s.last
}

func (s *Server) get(key string) string {
	v, ok := s.values[key]
	if ok && !time.Now().Before(v.ends) {
		delete(s.values, key)
		s.tell(key)
		return ""
	}
	return v.text
}

func (s *Server) set(key, text string, ttl time.Duration) {
	s.values[key] = value{text, time.Now().Add(ttl)}
	s.tell(key)
}

func (s *Server) del(key string) {
	if _, ok := s.values[key]; ok { // of a missing key Redis tells nothing
		delete(s.values, key)
		s.tell(key)
	}
}

// tell puts news of a name on its way to all who are connected.
func (s *Server) tell(key string) {
	for _, n := range s.nodes {
		if n.connection > 0 {
			n.queue = append(n.queue, event{key: key})
			n.wakeUp()
		}
	}
}

// SetDown makes every act fail, or no more.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	if down {
		for _, n := range s.nodes {
			n.cut()
		}
	}
}

// Evict removes the name at this place of all entries and epochs, as Redis does when it is full. The sets of tags stay: when they go, the
// app cannot find entries any more, its own or ours, and nobody can help that.
func (s *Server) Evict(place int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Sorted(maps.Keys(s.values))
	names = append(names, slices.Sorted(maps.Keys(s.hashes))...)
	if len(names) == 0 {
		return
	}
	name := names[place%len(names)]
	if _, ok := s.hashes[name]; ok {
		delete(s.hashes, name)
		s.tell(name)
	}
	s.del(name)
}

// Flush removes all, as FLUSHALL does.
func (s *Server) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values, s.sets, s.hashes = map[string]value{}, map[string]map[string]bool{}, map[string]shared.Epochs{}
	for _, n := range s.nodes {
		if n.connection > 0 {
			n.queue = append(n.queue, event{lost: true})
			n.wakeUp()
		}
	}
}

// Size returns how many names there are of entries, and how many members of sets.
func (s *Server) Size() (entries, members int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, set := range s.sets {
		members += len(set)
	}
	return len(s.values), members
}

// Node is the way of one node to a Server.
type Node struct {
	server *Server
	delay  func()

	// The fields below are guarded by the server's lock.
	listener   shared.Listener
	queue      []event
	connection int // 0: none
	hangs      bool
	closed     bool

	wake chan struct{}
	done chan struct{}
}

type event struct {
	key    string
	lost   bool
	passed chan struct{}
}

var _ shared.Tier = (*Node)(nil)

// NewNode returns a way to s. delay is called before and after each act, and before each piece of news: it may sleep. Nil: nothing
// takes time.
func NewNode(s *Server, delay func()) *Node {
	if delay == nil {
		delay = func() {}
	}
	n := &Node{server: s, delay: delay, wake: make(chan struct{}, 1), done: make(chan struct{})}
	s.mu.Lock()
	s.nodes = append(s.nodes, n)
	s.mu.Unlock()
	go n.pump()
	return n
}

func (n *Node) wakeUp() {
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// pump tells news in their order.
func (n *Node) pump() {
	defer close(n.done)
	for {
		n.delay()
		n.server.mu.Lock()
		if n.closed {
			n.server.mu.Unlock()
			return
		}
		if len(n.queue) == 0 || n.hangs {
			n.server.mu.Unlock()
			<-n.wake
			continue
		}
		e, listener := n.queue[0], n.listener
		n.queue = n.queue[1:]
		n.server.mu.Unlock()
		switch {
		case e.passed != nil:
			close(e.passed)
		case listener == nil:
		case e.lost:
			listener.Lost()
		default:
			listener.Changed([]string{e.key})
		}
	}
}

// cut ends the connection: what was on its way is lost, and the node learns of it. The lock is held.
func (n *Node) cut() {
	if n.connection > 0 {
		n.connection = 0
		n.queue = []event{{lost: true}}
		n.wakeUp()
	}
}

// Cut breaks the connection that hears of changes.
func (n *Node) Cut() {
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	n.cut()
}

// Hang makes news stop, while the connection looks healthy, or go on.
func (n *Node) Hang(hang bool) {
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	n.hangs = hang
	n.wakeUp()
}

// Close implements shared.Tier.
func (n *Node) Close() {
	n.server.mu.Lock()
	n.closed = true
	n.server.nodes = slices.DeleteFunc(n.server.nodes, func(o *Node) bool { return o == n })
	n.wakeUp()
	n.server.mu.Unlock()
	<-n.done
}

type recorded struct {
	shared.Note
	at   time.Time
	node string
}
