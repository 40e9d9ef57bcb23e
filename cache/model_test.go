package cache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/cache/shared/sharedtest"
	"kentongan/tenant"
)

// The model: a source of truth in which each key has a number that only rises; nodes that read through their caches; everybody who
// writes and invalidates; the app, which takes no notice of us; and what breaks. After each invalidation the model knows the
// number below which nobody may read any more, on the own node at once, on the others after the bound.

const (
	modelBound      = 200 * time.Millisecond
	modelQuarantine = 2 * time.Second
	lateAtMost      = 1500 * time.Millisecond // the app writes what it read so long ago: less than the quarantine
)

// plan says what happens, beside reads and invalidations of our own.
type plan struct {
	nodes   int
	app     bool // the app reads, writes late, and invalidates
	faults  bool // connections break and hang, Redis is away
	evicts  bool
	crashes bool
	broken  mistakes
}

// thing is one key of the model.
type thing struct {
	tenant    tenant.ID
	key       string
	policy    Policy
	versioned bool
}

func (d thing) redis() string { return name{tenant: d.tenant, key: d.key}.redis() }

func (d thing) sets() []string {
	var sets []string
	for _, tag := range d.policy.Tags {
		sets = append(sets, tagSet(d.tenant, tag))
	}
	return sets
}

var things = []thing{
	{"k1", "menus:today", Policy{TTL: 20 * time.Second, Tags: []string{"menus"}}, false},
	{"k1", "stock:rice", Policy{TTL: 5 * time.Second, Tags: []string{"stock", "menus"}, Negative: time.Second}, true},
	{"k1", "stock:oil", Policy{TTL: time.Minute, Tags: []string{"stock"}, Jitter: 0.2}, false},
	{"k2", "menus:today", Policy{TTL: 20 * time.Second, Tags: []string{"menus"}, RefreshAhead: true}, true},
	{"", "prices", Policy{TTL: 20 * time.Second, Tags: []string{"stock"}}, false},
	{"k2", "own:thing", Policy{TTL: 20 * time.Second, Tags: []string{"menus"}, Own: true, CompressFrom: 1}, true},
}

// plain and numbered are the values: one knows its version.
type (
	plain    struct{ N int64 }
	numbered struct{ N int64 }
)

func (v numbered) CacheVersion() int64 { return v.N }

// promise is a number below which nobody may read from a time on.
type promise struct {
	number int64
	node   *modelNode // that may not at once; nil: none
	done   time.Time
}

type modelNode struct {
	id    int
	cache *Cache
	tier  *sharedtest.Node
	stop  context.CancelFunc
	ended chan struct{}
}

type model struct {
	plan   plan
	server *sharedtest.Server
	app    *sharedtest.App

	mu       sync.Mutex
	rand     *rand.Rand
	truth    []int64
	promises [][]promise
	failure  error
	trace    []string
	reads    int
	hits     int

	nodes   []*modelNode
	ids     int
	busy    sync.WaitGroup
	places  chan struct{}
	writers map[tenant.ID]chan struct{} // the right to write things of a tenant
	appLock map[tenant.ID]chan struct{}
}

func newModel(p plan, seed uint64) *model {
	m := &model{
		plan: p, server: sharedtest.NewServer(), rand: rand.New(rand.NewPCG(seed, 7)), truth: make([]int64, len(things)),
		promises: make([][]promise, len(things)), places: make(chan struct{}, 12),
		writers: map[tenant.ID]chan struct{}{}, appLock: map[tenant.ID]chan struct{}{},
	}
	for i, d := range things {
		m.truth[i] = 1
		m.writers[d.tenant], m.appLock[d.tenant] = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	m.app = sharedtest.NewApp(m.server)
	for range p.nodes {
		m.join()
	}
	return m
}

func (m *model) intn(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rand.IntN(n)
}

// moment is how long something takes: mostly little, sometimes much.
func (m *model) moment() {
	d := time.Duration(m.intn(2000)) * time.Microsecond
	switch m.intn(40) {
	case 0:
		d *= 40
	case 1, 2, 3:
		d *= 8
	}
	time.Sleep(d + time.Duration(m.intn(1000)))
}

func (m *model) join() {
	n := &modelNode{id: m.ids, tier: sharedtest.NewNode(m.server, m.moment), ended: make(chan struct{})}
	m.ids++
	c, err := New(Options{Shared: n.tier, Bound: modelBound, Quarantine: modelQuarantine, MaxBytes: 64 << 10})
	if err != nil {
		panic(err)
	}
	c.broken = m.plan.broken
	n.cache = c
	ctx, stop := context.WithCancel(context.Background())
	n.stop = stop
	go func() {
		defer close(n.ended)
		_ = c.Run(ctx)
	}()
	m.nodes = append(m.nodes, n)
}

func (m *model) fail(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failure == nil {
		m.failure = fmt.Errorf(format+"\n%s", append(args, strings.Join(m.trace[max(0, len(m.trace)-60):], "\n"))...)
	}
}

// note writes down what happens, for whoever has to find out why.
func (m *model) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.trace = append(m.trace, time.Now().Format("05.000000 ")+fmt.Sprintf(format, args...))
}

// least returns the number below which a read on n that begins now may not be; strict: that asks Redis.
func (m *model) least(i int, n *modelNode, strict bool) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var least int64
	now := time.Now()
	for _, p := range m.promises[i] {
		if p.node == n || strict || now.Sub(p.done) >= modelBound {
			least = max(least, p.number)
		}
	}
	return least
}

// keep records that everything below what the truth was then is over. The promises of before that have come true are dropped.
func (m *model) keep(i int, number int64, n *modelNode) {
	id := -1
	if n != nil {
		id = n.id
	}
	m.note("promise %s/%s >= %d, by node %d", things[i].tenant, things[i].key, number, id)
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	kept := m.promises[i][:0]
	var oldest int64
	for _, p := range m.promises[i] {
		if now.Sub(p.done) < 2*modelBound {
			kept = append(kept, p)
		} else {
			oldest = max(oldest, p.number)
		}
	}
	kept = append(kept, promise{oldest, nil, now.Add(-modelBound)}, promise{number, n, now})
	m.promises[i] = kept
}

func (m *model) current(i int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.truth[i]
}

func (m *model) change(i int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.truth[i]++
	return m.truth[i]
}

// load reads the truth, which takes a while before and after.
func (m *model) load(ctx context.Context, i int) (int64, error) {
	m.moment()
	n := m.current(i)
	m.moment()
	if m.intn(12) == 0 {
		time.Sleep(time.Duration(m.intn(300)) * time.Millisecond)
	}
	if m.intn(30) == 0 {
		return 0, errors.New("the source is away")
	}
	return n, ctx.Err()
}

func (m *model) read(n *modelNode, i int) {
	d := things[i]
	p := d.policy
	p.Strict = m.intn(10) == 0
	p.HardTimeout = 400 * time.Millisecond
	least, began := m.least(i, n, p.Strict), time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	var got int64
	var err error
	loads := m.intn(3) > 0
	if d.versioned {
		got, err = readAs(ctx, n.cache, d, &p, loads, func(v numbered) int64 { return v.N },
			func(ctx context.Context) (numbered, error) { v, err := m.load(ctx, i); return numbered{v}, err })
	} else {
		got, err = readAs(ctx, n.cache, d, &p, loads, func(v plain) int64 { return v.N },
			func(ctx context.Context) (plain, error) { v, err := m.load(ctx, i); return plain{v}, err })
	}
	m.note("node %d read %d of %s/%s since %s, strict %v, loads %v, err %v", n.id, got, d.tenant, d.key, began.Format("05.000000"), p.Strict, loads, err)
	m.mu.Lock()
	m.reads++
	if err == nil {
		m.hits++
	}
	m.mu.Unlock()
	if err == nil && got < least {
		m.fail("node %d reads %d of %s/%s, and from %d on is promised; the truth is %d; it took %s, strict %v", n.id, got, d.tenant, d.key,
			least, m.current(i), time.Since(began), p.Strict)
	}
}

func readAs[T any](ctx context.Context, c *Cache, d thing, p *Policy, loads bool, number func(T) int64,
	load func(context.Context) (T, error),
) (int64, error) {
	var v T
	var err error
	if loads {
		v, err = GetOrLoad(ctx, c, d.tenant, d.key, p, load)
	} else {
		v, err = Get[T](ctx, c, d.tenant, d.key, p)
	}
	return number(v), err
}

// with runs f with a right that only one has.
func with(right chan struct{}, f func()) {
	right <- struct{}{}
	defer func() { <-right }()
	f()
}

// invalidate changes the truth, and then invalidates in one of the ways.
func (m *model) invalidate(n *modelNode, i int) {
	d := things[i]
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	p := &Policy{Own: d.policy.Own}
	m.note("node %d changes %s/%s", n.id, d.tenant, d.key)
	with(m.writers[d.tenant], func() {
		switch m.intn(6) {
		case 0, 1:
			number := m.change(i)
			if n.cache.Invalidate(ctx, d.tenant, d.key, p) == nil {
				m.keep(i, number, n)
			}
		case 2:
			tag := d.policy.Tags[m.intn(len(d.policy.Tags))]
			m.changeAll(n, func(o thing) bool { return o.tenant == d.tenant && hasTag(o, tag) },
				func() error { return n.cache.InvalidateTag(ctx, d.tenant, tag) })
		case 3:
			m.changeAll(n, func(o thing) bool { return o.tenant == d.tenant }, func() error { return n.cache.InvalidateTenant(ctx, d.tenant) })
		case 4:
			number := m.change(i)
			if !d.versioned {
				if n.cache.Invalidate(ctx, d.tenant, d.key, p) == nil {
					m.keep(i, number, n)
				}
				return
			}
			if n.cache.Forget(ctx, d.tenant, d.key, number, p) == nil {
				m.keep(i, number, n)
			}
		case 5:
			m.set(ctx, n, i)
		}
	})
}

func (m *model) set(ctx context.Context, n *modelNode, i int) {
	d := things[i]
	number := m.change(i)
	p := d.policy
	var err error
	if d.versioned {
		p.Version = number
		err = Set(ctx, n.cache, d.tenant, d.key, numbered{number}, &p)
	} else {
		err = Set(ctx, n.cache, d.tenant, d.key, plain{number}, &p)
	}
	if err == nil && (!m.plan.app || d.policy.Own) { // what the app writes after it is the last word, however old it is
		m.keep(i, number, n)
	}
}

func hasTag(d thing, tag string) bool { return slices.Contains(d.policy.Tags, tag) }

func (m *model) changeAll(n *modelNode, concerns func(thing) bool, act func() error) {
	numbers := map[int]int64{}
	for i, d := range things {
		if concerns(d) {
			numbers[i] = m.change(i)
		}
	}
	if act() == nil {
		for i, number := range numbers {
			m.keep(i, number, n)
		}
	}
}

// useApp lets the app do something with a thing: fill it, late, or invalidate it. What it fills late after its own
// invalidation is its own affair, so these exclude each other.
func (m *model) useApp(i int) {
	d := things[i]
	if d.policy.Own {
		return
	}
	with(m.appLock[d.tenant], func() {
		if m.intn(3) > 0 {
			number := m.current(i)
			time.Sleep(time.Duration(m.intn(int(lateAtMost))))
			m.note("app writes %d of %s/%s", number, d.tenant, d.key)
			m.app.Set(d.redis(), string(d.tenant), fmt.Appendf(nil, `{"N":%d}`, number), d.policy.TTL, d.policy.Tags, d.sets())
			return
		}
		with(m.writers[d.tenant], func() {
			if m.intn(2) == 0 {
				number := m.change(i)
				m.app.Delete(d.redis())
				m.keep(i, number, nil)
				return
			}
			tag := d.policy.Tags[0]
			m.changeAll(nil, func(o thing) bool { return o.tenant == d.tenant && hasTag(o, tag) && !o.policy.Own }, func() error {
				m.app.InvalidateTag(tagSet(d.tenant, tag), func() {})
				return nil
			})
		})
	})
}

// harm breaks something, and heals it after a while.
func (m *model) harm() {
	n := m.nodes[m.intn(len(m.nodes))]
	what := m.intn(9)
	m.note("harm %d to node %d", what, n.id)
	switch what {
	case 0:
		if m.plan.evicts {
			m.server.Evict(m.intn(1000))
		}
	case 1, 2:
		if m.plan.faults {
			n.tier.Cut()
		}
	case 3, 4:
		if m.plan.faults {
			n.tier.Hang(true)
			m.later(time.Duration(m.intn(500))*time.Millisecond, func() { n.tier.Hang(false) })
		}
	case 5:
		if m.plan.faults && m.intn(4) == 0 {
			m.server.SetDown(true)
			m.later(time.Duration(m.intn(600))*time.Millisecond, func() { m.server.SetDown(false) })
		}
	case 6:
		if m.plan.evicts && m.intn(4) == 0 {
			m.server.Flush()
		}
	case 7:
		if m.plan.crashes && m.intn(2) == 0 {
			n.stop() // its loads are lost, its leases stay
			m.busy.Go(func() { <-n.ended })
			for i, o := range m.nodes {
				if o == n {
					m.nodes = append(m.nodes[:i:i], m.nodes[i+1:]...)
				}
			}
			m.join()
		}
	case 8:
		n.cache.Clear()
	}
}

func (m *model) later(d time.Duration, f func()) {
	m.busy.Go(func() {
		time.Sleep(d)
		f()
	})
}

// do runs f beside everything else, if there is a place.
func (m *model) do(f func()) {
	m.places <- struct{}{}
	m.busy.Go(func() {
		defer func() { <-m.places }()
		f()
	})
}

func (m *model) failed() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failure
}

// play lets so many things happen, and returns what was wrong.
func (m *model) play(steps int) error {
	for range steps {
		if m.failed() != nil {
			break
		}
		n, i := m.nodes[m.intn(len(m.nodes))], m.intn(len(things))
		switch k := m.intn(20); {
		case k < 12:
			m.do(func() { m.read(n, i) })
		case k < 16:
			m.do(func() { m.invalidate(n, i) })
		case k < 18:
			if m.plan.app {
				m.do(func() { m.useApp(i) })
			}
		case k < 19:
			m.harm()
		default:
			time.Sleep(time.Duration(m.intn(400)) * time.Millisecond)
		}
		if m.intn(2) == 0 {
			m.moment()
		}
	}
	m.busy.Wait()
	m.server.SetDown(false)
	for _, n := range m.nodes {
		n.stop()
		<-n.ended
	}
	if err := m.failed(); err != nil {
		return err
	}
	if m.hits == 0 && steps > 200 {
		return errors.New("no read got anything")
	}
	return nil
}

func playModel(t *testing.T, p plan, seed uint64, steps int) (err error) {
	t.Helper()
	synctest.Test(t, func(*testing.T) { err = newModel(p, seed).play(steps) })
	return err
}

var wholePlan = plan{nodes: 3, app: true, faults: true, evicts: true, crashes: true}

// steps returns how many steps a test takes: 10,000, or what CACHE_MODEL_STEPS says.
func modelSteps(t *testing.T) int {
	text := os.Getenv("CACHE_MODEL_STEPS")
	if text == "" {
		return 10_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CACHE_MODEL_STEPS is %q; write a number", text)
	}
	return n
}

func TestModelNothingStale(t *testing.T) {
	const length = 500
	plays := max(1, modelSteps(t)/length)
	plans := []plan{wholePlan, {nodes: 2}, {nodes: 3, app: true}, {nodes: 2, faults: true}, {nodes: 3, evicts: true, crashes: true}}
	for i := range plays {
		p := plans[i%len(plans)]
		if err := playModel(t, p, uint64(i), length); err != nil {
			t.Fatalf("%+v, seed %d: %v", p, i, err)
		}
	}
}

func TestModelProperty(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := plan{
			nodes: rapid.IntRange(1, 4).Draw(r, "nodes"), app: rapid.Bool().Draw(r, "app"), faults: rapid.Bool().Draw(r, "faults"),
			evicts: rapid.Bool().Draw(r, "evicts"), crashes: rapid.Bool().Draw(r, "crashes"),
		}
		if err := playModel(t, p, rapid.Uint64().Draw(r, "seed"), rapid.IntRange(20, 150).Draw(r, "steps")); err != nil {
			r.Fatal(err)
		}
	})
}

// TestModelFindsMistakes does it wrong, to see that the tests above can fail.
func TestModelFindsMistakes(t *testing.T) {
	for name, p := range map[string]plan{
		"no lease":            {nodes: 3, app: true, broken: mistakes{noLease: true}},
		"epochs too late":     {nodes: 3, broken: mistakes{lateEpochs: true}},
		"no quarantine":       {nodes: 3, app: true, broken: mistakes{noQuarantine: true}},
		"no fence":            {nodes: 3, faults: true, broken: mistakes{noFence: true}},
		"no stripes":          {nodes: 3, broken: mistakes{noStripes: true}},
		"old flights joined":  {nodes: 2, broken: mistakes{oldFlights: true}},
		"a break not noticed": {nodes: 3, faults: true, broken: mistakes{noEra: true}},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(200) {
				if playModel(t, p, seed, 500) != nil {
					return
				}
			}
			t.Errorf("200 plays find nothing wrong")
		})
	}
}
