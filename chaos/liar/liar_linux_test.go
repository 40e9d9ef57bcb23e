package liar_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kentongan/auth"
	"kentongan/chaos/check"
	"kentongan/chaos/client"
	"kentongan/chaos/liar"
	"kentongan/chaos/payload"
	"kentongan/chaos/publish"
	"kentongan/chaos/stand"
)

const (
	secret = "a secret for lies that are to be found"
	apiKey = "key-of-the-liars-tests"
	origin = "https://kitchens.test"

	// retention is so short that a client that is away misses more than that, and has to be told.
	retention = 20
)

// gateway is a real one, which all tests share: each has kitchens of its own in it.
var gateway *stand.Gateway

func TestMain(m *testing.M) {
	flag.Parse()
	// The runs wait more than they compute, so more of them than there are cores go on at the same time.
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	code, err := withGateway(m.Run)
	if err == nil {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// raced reports whether this program was built with the race detector. Then the gateway is too: one that is ten times as slow as those who
// publish never has what the history has, and one build serves all tests.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

func withGateway(run func() int) (int, error) {
	dir, err := os.MkdirTemp("", "kentongan-liar-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "kentongan")
	args := []string{"build", "-o", binary}
	if raced() {
		args = append(args, "-race")
	}
	if said, err := exec.Command("go", append(args, "kentongan/cmd/kentongan")...).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("build server: %w\n%s", err, said)
	}
	gateway, err = stand.NewGateway(binary, dir, "gateway", []string{
		"AUTH_SECRET=" + secret, "KENTONGAN_API_KEYS=liar:" + apiKey, "KENTONGAN_ALLOWED_ORIGINS=" + origin,
		fmt.Sprintf("KENTONGAN_HISTORY_SIZE=%d", retention),
	})
	if err != nil {
		return 1, err
	}
	defer gateway.Close()
	if err := gateway.Start(context.Background()); err != nil {
		return 1, err
	}
	return run(), nil
}

// seeds is how often each lie has to be found: as often as it is told.
const seeds = 20

// finds is by which classes each lie shows; one of them has to.
var finds = map[liar.Kind][]check.Class{
	liar.Drops:   {check.Lost},
	liar.Swaps:   {check.Order, check.Undeclared},
	liar.Leaks:   {check.Leak},
	liar.Repeats: {check.Twice},
	liar.Hushes:  {check.Undeclared},
	liar.Boasts:  {check.Lost},
}

// shows reports whether a verdict is what it has to be of such a gateway.
func shows(kind liar.Kind, v *check.Verdict) bool {
	if kind == liar.Honest {
		return v.Flawless()
	}
	return slices.ContainsFunc(finds[kind], func(c check.Class) bool { return v.Counts[c] > 0 })
}

func TestEveryLieIsFound(t *testing.T) {
	for _, kind := range liar.Kinds() {
		for seed := range uint64(seeds) {
			t.Run(fmt.Sprintf("%s/%d", kind, seed), func(t *testing.T) {
				t.Parallel()
				v, lies := play(t, kind, seed)
				switch {
				case v.Empty() != "":
					t.Fatalf("the run proves nothing: %s", v.Empty())
				case kind == liar.Honest && !v.Flawless():
					t.Fatalf("an honest gateway is blamed: %s", v.String())
				case kind != liar.Honest && lies == 0:
					t.Fatal("no lie was told")
				case !shows(kind, &v):
					t.Fatalf("a gateway that %s is not found: %s", kind, v.String())
				}
			})
		}
	}
}

// arena is one run: two kitchens, clients that stay and clients that lose their line for a while, and publishers.
type arena struct {
	t       *testing.T
	kind    liar.Kind
	seed    uint64
	liar    *liar.Gateway
	began   time.Time
	key     payload.Key
	world   *check.World
	clients []*client.Client
	away    []*client.Client // of these
	pubs    []*publish.Publisher
}

func play(t *testing.T, kind liar.Kind, seed uint64) (check.Verdict, int) {
	r := rand.New(rand.NewPCG(seed, uint64(kind)))
	a := &arena{t: t, kind: kind, seed: seed, began: time.Now()}
	after := r.IntN(40)
	if kind == liar.Repeats {
		after = 0 // it waits for a client that returns
	}
	var err error
	if a.liar, err = liar.New(t.Context(), gateway.Address, kind, after, a.whose); err != nil {
		t.Fatal(err)
	}
	defer a.liar.Close()
	for i := range a.key {
		a.key[i] = byte(r.Uint32())
	}
	a.world = &check.World{Retention: retention, Faults: 1, Rules: check.Rules{NoBareResume: true}}
	for _, name := range []string{"a", "b"} {
		kitchen := fmt.Sprintf("%s_%s_%d", kind, name, seed)
		a.world.Channels = append(a.world.Channels,
			check.Channel{Name: "production:updates:" + kitchen, Tenant: kitchen}, check.Channel{Name: "menu:updates:" + kitchen, Tenant: kitchen})
	}
	a.enlist()
	a.hire()
	a.act()
	v := a.judge()
	// A pause of the machine looks like a quiet line, behind which what is missing is lost, and what was repeated has not come yet. Of an
	// honest gateway nothing stays missing, and a lie comes to light.
	for end := time.Now().Add(30 * time.Second); !shows(kind, &v) && time.Now().Before(end); v = a.judge() {
		time.Sleep(50 * time.Millisecond)
	}
	return v, a.liar.Lies()
}

// whose tells the kitchen of a channel, by name or number.
func (a *arena) whose(channel string) string {
	for i, ch := range a.world.Channels {
		if channel == ch.Name || channel == strconv.Itoa(i) {
			return ch.Tenant
		}
	}
	return ""
}

func (a *arena) clock() time.Duration { return time.Since(a.began) }

// nodes is the gateway of those who are lied to, or the real one.
func (a *arena) nodes(liedTo bool) func() []string {
	address := gateway.Address
	if liedTo {
		address = a.liar.Address
	}
	return func() []string { return []string{address} }
}

func (a *arena) enlist() {
	for i := range 8 {
		channels := []int{2 * (i % 2), 2*(i%2) + 1}
		kitchen := a.world.Channels[channels[0]].Tenant
		token, err := auth.MintSession(secret, auth.SessionCookie, map[string]any{"sub": fmt.Sprint("u", i), "sppgId": kitchen}, time.Hour)
		if err != nil {
			a.t.Fatal(err)
		}
		leaves := i < 4 // these have positions to resume from
		dialect := check.V1
		if !leaves && i >= 6 {
			dialect = check.Bare
		}
		c := client.New(client.Options{
			Name: fmt.Sprintf("%s-%d", dialect, i), Dialect: dialect, Tenant: kitchen, Cookie: auth.SessionCookie + "=" + token, Origin: origin,
			World: a.world, Channels: channels, Nosy: -1, Key: a.key, Nodes: a.nodes(leaves == a.kind.Returning()), Clock: a.clock,
			Seed: a.seed + uint64(i), InUpgrade: i%4 < 2, Narrow: true,
		})
		a.clients = append(a.clients, c)
		if leaves {
			a.away = append(a.away, c)
		}
	}
}

func (a *arena) hire() {
	for i := range 2 * len(a.world.Channels) {
		a.pubs = append(a.pubs, publish.New(publish.Options{
			Name: fmt.Sprint("p", i), Index: i, World: a.world, Channel: i % len(a.world.Channels), Ordered: true, Every: 3 * time.Millisecond,
			Door: publish.HTTP(a.nodes(a.kind == liar.Boasts), apiKey, 0, nil), Batch: 1, Key: a.key, Clock: a.clock, Seed: a.seed + uint64(i),
		}))
	}
}

// act publishes while some of the clients are away.
func (a *arena) act() {
	ctx, cancel := context.WithCancel(a.t.Context())
	var work sync.WaitGroup
	a.t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	for _, c := range a.clients {
		work.Go(func() {
			if err := c.Run(ctx); err != nil {
				a.t.Error(err)
			}
		})
	}
	a.until("all are connected", func() bool { return a.following() == len(a.clients)*2 })
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for _, p := range a.pubs {
		writers.Go(func() { p.Run(ctx, stop) })
	}
	const few, many = 6, 16 // by each of two publishers in a channel
	a.until("the first messages", func() bool { return a.published() >= few })
	for _, c := range a.away {
		c.Line().Hold()
		c.Line().Cut()
	}
	a.until("more than the history keeps", func() bool { return a.published() >= few+many })
	for _, c := range a.away {
		c.Line().Release()
	}
	a.until("all are back", func() bool {
		return !slices.ContainsFunc(a.away, func(c *client.Client) bool {
			opened := 0
			for _, e := range c.History().Events {
				if e.Kind == check.Subscribed {
					opened++
				}
			}
			return opened < 4
		})
	})
	back := a.published()
	a.until("the last messages", func() bool { return a.published() >= back+few })
	close(stop)
	writers.Wait()
	// Whatever is still on its way comes within a moment; what is missing after a quiet one is missing.
	const quiet = 10
	for same, last := 0, 0; same < quiet; time.Sleep(10 * time.Millisecond) {
		events := 0
		for _, c := range a.clients {
			events += len(c.History().Events)
		}
		if same++; events != last {
			same, last = 0, events
		}
	}
}

// following counts the subscriptions that are known to be there.
func (a *arena) following() int {
	n := 0
	for _, c := range a.clients {
		h := c.History()
		for _, e := range h.Events {
			if e.Kind == check.Subscribed {
				n++
			} else if e.Kind == check.Opened && h.Dialect == check.Bare {
				n += 2
			}
		}
	}
	return n
}

// published returns what the slowest publisher has sent.
func (a *arena) published() int {
	least := 1 << 30
	for _, p := range a.pubs {
		least = min(least, len(p.History().Publications))
	}
	return least
}

// until waits for other goroutines and another process, which have no event to wait on.
func (a *arena) until(what string, check func() bool) {
	a.t.Helper()
	for end := time.Now().Add(30 * time.Second); !check(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			a.t.Fatalf("waited in vain for this: %s", what)
		}
	}
}

func (a *arena) judge() check.Verdict {
	var subs []check.Subscriber
	for _, c := range a.clients {
		subs = append(subs, c.History())
	}
	var pubs []check.Publisher
	for _, p := range a.pubs {
		pubs = append(pubs, p.History())
	}
	return check.Judge(a.world, pubs, subs)
}
