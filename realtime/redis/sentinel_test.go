package redis_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kentongan/internal/process"
	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
)

func optionsOf(r *testenv.Replicated) redis.Options {
	return redis.Options{Sentinels: r.Sentinels, SentinelName: r.Name}
}

// reader is a watcher for which one position has one data, for ever. It also knows when something came last.
type reader struct {
	*watcher
	name  string
	seen  map[realtime.Position]string
	clock struct {
		sync.Mutex
		last    time.Time
		longest time.Duration
		at      time.Time // the end of the longest silence
	}
}

func (r *reader) Deliver(p *realtime.Publication) {
	if p.Channel == channelA {
		if other, ok := r.seen[p.Position]; ok && other != string(p.Data) {
			r.t.Errorf("%s is given %s at %v, where it had %s", r.name, p.Data, p.Position, other)
		}
		r.seen[p.Position] = string(p.Data)
		r.clock.Lock()
		now := time.Now()
		if silent := now.Sub(r.clock.last); !r.clock.last.IsZero() && silent > r.clock.longest {
			r.clock.longest, r.clock.at = silent, now
		}
		r.clock.last = now
		r.clock.Unlock()
	}
	r.watcher.Deliver(p)
}

// node is a running broker that follows k1.
func node(t *testing.T, name string, opts redis.Options) (*redis.Broker, *reader) {
	t.Helper()
	b := open(t, opts)
	r := &reader{watcher: newWatcher(t), name: name, seen: map[realtime.Position]string{}}
	run(t, b, r)
	h, err := b.Follow(t.Context(), "k1")
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.at[channelA]; !ok {
		r.at[channelA] = h.At(channelA.Name)
	}
	return b, r
}

// TestFailover publishes over two nodes while the primary is replaced. Replication is asynchronous, so acknowledged publications may be
// lost; then every reader that had not got them, or had, is told a gap.
func TestFailover(t *testing.T) {
	t.Parallel() // most of it is waiting until Sentinels know each other, and agree
	for name, harm := range map[string]struct {
		begin func(*testenv.RedisServer)
		end   func(*testenv.RedisServer)
	}{
		"Killed": {(*testenv.RedisServer).Kill, (*testenv.RedisServer).Restart},
		"Paused": {(*testenv.RedisServer).Pause, (*testenv.RedisServer).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testenv.StartReplicated(t, time.Second)
			opts := optionsOf(r)
			opts.Names = bigHistory(t)
			one, readOne := node(t, "one", opts)
			two, readTwo := node(t, "two", opts)
			stop := make(chan struct{})
			waits := []func() map[string]realtime.Position{publishFrom(t, "one", one, stop), publishFrom(t, "two", two, stop)}
			published := func() uint64 { return one.Stats().Published + two.Stats().Published }
			eventually(t, "publications", func() bool { return published() > 200 })

			old := r.Primary(t)
			harm.begin(r.Servers[0])
			began := time.Now()
			r.AwaitFailover(t, old)
			promoted := time.Since(began)
			before := published()
			eventually(t, "publications at the new primary", func() bool { return published() > before+200 })
			resumed := time.Since(began)
			harm.end(r.Servers[0])
			if name == "Paused" {
				// It comes back as a primary that nobody has told yet. What it says then must reach nobody.
				r.AwaitReplica(t, old)
			}
			before = published()
			eventually(t, "more publications", func() bool { return published() > before+200 })
			close(stop)
			for _, wait := range waits {
				for data := range wait() {
					for _, reader := range []*reader{readOne, readTwo} {
						eventually(t, "what was acknowledged, or a gap", func() bool {
							return reader.has(channelA, data) || reader.gapCount(channelA) > 0
						})
					}
				}
			}
			settle(t, one, readOne.watcher)
			settle(t, two, readTwo.watcher)
			for who, reader := range map[string]*reader{"one": readOne, "two": readTwo} {
				nothingTwice(t, who, reader)
				reader.clock.Lock()
				t.Logf("%s: silent for %v at the longest; %d gaps", who, reader.clock.longest, reader.gapCount(channelA))
				reader.clock.Unlock()
			}
			t.Logf("promoted after %v, published again after %v", promoted, resumed)
			if one.Stats().Moves == 0 { // it is twice when the machine lets a server wait for the second after which it counts as down
				t.Error("the primary moved, and that is not counted")
			}
		})
	}
}

// TestSentinelsAreAsked is about who is asked, and what is done when some do not answer.
func TestSentinelsAreAsked(t *testing.T) {
	t.Parallel() // as TestFailover
	r := testenv.StartReplicated(t, 10*time.Second)
	const secret = "of-the-sentinels-4711"
	for _, addr := range r.Sentinels {
		do(t, admin(t, addr), "ACL", "SETUSER", "kentongan", "on", ">"+secret, "+@all", "&*")
		do(t, admin(t, addr), "ACL", "SETUSER", "default", "off")
	}
	opts := optionsOf(r)
	opts.CommandTimeout = time.Second
	refused := func(opts redis.Options, what, want string) {
		t.Helper()
		b := open(t, opts)
		var err error
		eventually(t, what+" to be told "+want, func() bool { // a busy machine may be told first that the second is over
			_, err = b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
			if !errors.Is(err, realtime.ErrUnavailable) || strings.Contains(err.Error(), secret) {
				t.Fatalf("%s: %v, want ErrUnavailable, and no password in it", what, err)
			}
			return strings.Contains(err.Error(), want)
		})
	}
	refused(opts, "who has no password", "NOAUTH")
	opts.SentinelUsername, opts.SentinelPassword = "kentongan", secret+"x"
	refused(opts, "who has a wrong password", "WRONGPASS")
	opts.SentinelPassword = secret
	unknown := opts
	unknown.SentinelName = "another"
	refused(unknown, "who has another name", `no primary called "another"`)
	wrong := opts
	wrong.Sentinels = []string{r.Servers[0].Addr}
	refused(wrong, "who has a redis for a sentinel", "")

	b, w := follow(t, opts)
	settle(t, b, w)
	r.SentinelServers[0].Pause() // a machine that hangs
	r.SentinelServers[1].Kill()
	before := b.Stats().Reconnects
	do(t, admin(t, r.Servers[0].Addr), "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "a reconnect by the sentinel that is left", func() bool { return b.Stats().Reconnects > before })
	settle(t, b, w)
	r.SentinelServers[0].Kill()
	r.SentinelServers[2].Kill()
	before = b.Stats().Reconnects
	do(t, admin(t, r.Servers[0].Addr), "CLIENT", "KILL", "TYPE", "pubsub")
	eventually(t, "a reconnect without any", func() bool { return b.Stats().Reconnects > before })
	settle(t, b, w)
}

// TestNoReplica connects to what takes no publications.
func TestNoReplica(t *testing.T) {
	primary := testenv.StartRedis(t)
	_, port, err := net.SplitHostPort(primary.Addr)
	if err != nil {
		t.Fatal(err)
	}
	replica := testenv.StartRedis(t, "--replicaof", "127.0.0.1 "+port)
	b := open(t, redis.Options{Address: replica.Addr, CommandTimeout: 300 * time.Millisecond})
	run(t, b, nothing{})
	want := "redis at " + replica.Addr + " is a replica of " + primary.Addr
	eventually(t, "Ready to say so", func() bool { err := b.Ready(); return err != nil && strings.Contains(err.Error(), want) })
	eventually(t, "a publisher to be told so", func() bool { // and not only that the time was over
		_, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
		if !errors.Is(err, realtime.ErrUnavailable) {
			t.Fatalf("publish: %v, want ErrUnavailable and %q", err, want)
		}
		return strings.Contains(err.Error(), want)
	})
	do(t, admin(t, replica.Addr), "REPLICAOF", "NO", "ONE")
	eventually(t, "Ready after its promotion", func() bool { return b.Ready() == nil })
}

// TestSocket has a Redis on a socket of this machine.
func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.sock")
	testenv.StartRedis(t, "--unixsocket", path)
	b, w := follow(t, redis.Options{Network: "unix", Address: path})
	settle(t, b, w)
}

// TestTLS has a Redis that speaks TLS, with a certificate that is checked.
func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	addr := process.FreeAddresses(1)[0]
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	testenv.StartRedis(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", cert, "--tls-auth-clients", "no", "--requirepass", "word")
	b, w := follow(t, redis.Options{Address: addr, Password: "word", TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	settle(t, b, w)
	stranger := open(t, redis.Options{Address: addr, Password: "word", TLS: &tls.Config{MinVersion: tls.VersionTLS12}, CommandTimeout: time.Second})
	run(t, stranger, nothing{})
	eventually(t, "an unknown certificate to be refused", func() bool {
		err := stranger.Ready()
		return err != nil && strings.Contains(err.Error(), "certificate signed by unknown authority")
	})
}

// certificate writes one for 127.0.0.1, with its key, into a file, and returns who trusts it.
func certificate(t *testing.T) (file string, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool = x509.NewCertPool()
	pool.AddCert(leaf)
	file = filepath.Join(t.TempDir(), "tls.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, pool
}

// TestAcknowledgedAndForgotten has a publisher whose last acknowledged publication was forgotten before anybody heard of it, and whose place
// another has taken. Nobody but its own node can know.
func TestAcknowledgedAndForgotten(t *testing.T) {
	server := testenv.StartRedis(t)
	proxy := newProxy(t, server.Addr)
	publisher := open(t, redis.Options{Address: proxy.addr})
	run(t, publisher, nothing{})
	publish := func(b *redis.Broker, data string) realtime.Position {
		t.Helper()
		p, err := b.Publish(t.Context(), channelA, []byte(data), realtime.PublishOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return p.Position
	}
	publish(publisher, `"kept"`)
	do(t, admin(t, server.Addr), "SAVE")
	forgotten := publish(publisher, `"forgotten"`)
	proxy.refuse()
	server.Restart()
	other, w := follow(t, redis.Options{Address: server.Addr})
	if took := publish(other, `"new"`); took != forgotten {
		t.Fatalf("the new publication is at %v, want %v: nothing is proved", took, forgotten)
	}
	eventually(t, "its delivery", func() bool { return w.has(channelA, `"new"`) })
	proxy.accept()
	eventually(t, "the gap", func() bool { return w.gapCount(channelA) > 0 })
	settle(t, other, w)
	settle(t, publisher, w)
	if n := w.gapCount(channelA); n != 1 {
		t.Errorf("%d gaps were told, want one", n)
	}
}

// TestDuplicateIsNotForgotten has a node acknowledge what another one had stored: that the entry is the other's is no loss.
func TestDuplicateIsNotForgotten(t *testing.T) {
	addr := testenv.Redis(t)
	b, w := follow(t, redis.Options{Address: addr})
	other := open(t, redis.Options{Address: addr})
	for i, publisher := range []*redis.Broker{b, other} {
		p, err := publisher.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{Key: "once"})
		if err != nil || p.Duplicate != (i == 1) {
			t.Fatalf("publish %d: %+v, %v", i, p, err)
		}
	}
	run(t, other, nothing{}) // it looks after what it has acknowledged now
	eventually(t, "its connection", func() bool { return other.Stats().Inspections > 0 })
	for range 5 {
		settle(t, b, w)
	}
	if n := w.gapCount(channelA); n != 0 {
		t.Errorf("%d gaps were told, want none", n)
	}
}

// nothingTwice checks that no data was delivered a second time, under whatever position.
func nothingTwice(t *testing.T, who string, r *reader) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	times := map[string]int{}
	for _, d := range r.delivered[channelA] {
		if times[d]++; times[d] == 2 {
			t.Errorf("%s got %s twice", who, d)
		}
	}
}

// publishFrom publishes distinct data at a steady pace until stop, and returns what was acknowledged.
func publishFrom(t *testing.T, name string, b *redis.Broker, stop <-chan struct{}) (wait func() map[string]realtime.Position) {
	acked := map[string]realtime.Position{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond): // a pace, not a wait
			}
			data := fmt.Sprintf(`{"from":%q,"i":%d}`, name, i)
			wg.Go(func() {
				p, err := b.Publish(context.Background(), channelA, []byte(data), realtime.PublishOptions{})
				if err == nil {
					mu.Lock()
					acked[data] = p.Position
					mu.Unlock()
				} else if !errors.Is(err, realtime.ErrUnavailable) {
					t.Errorf("publish: %v", err)
				}
			})
		}
	})
	return func() map[string]realtime.Position { wg.Wait(); return acked }
}

// ask sends one inline command and returns what comes, which fits into one packet. It may be asked of a server that hangs.
func ask(t *testing.T, addr, command string) string {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // of a new connection
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return err.Error()
	}
	buf := make([]byte, 4096)
	n, _ := conn.Read(buf) // an error shows in what is missing
	return string(buf[:n])
}

// TestRolledBack restarts Redis with older data, as a failover to a replica that was behind does: what was acknowledged and delivered is
// forgotten. Another node publishes at once, so that the offsets are given out again before this node is back. It must not take what
// is there now for what it had.
func TestRolledBack(t *testing.T) {
	for name, one := range map[string]struct {
		again int // publications afterwards, by the other node; 3 were forgotten
	}{"Fewer": {2}, "AsMany": {3}, "More": {5}} {
		t.Run(name, func(t *testing.T) {
			server := testenv.StartRedis(t)
			proxy := newProxy(t, server.Addr)
			here, w := node(t, "here", redis.Options{Address: proxy.addr})
			publish := func(b *redis.Broker, data string) realtime.Position {
				t.Helper()
				p, err := b.Publish(t.Context(), channelA, []byte(data), realtime.PublishOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return p.Position
			}
			publish(here, `"kept 1"`)
			last := publish(here, `"kept 2"`)
			quiet := realtime.Channel{Tenant: "k1", Name: "production:alerts"}
			if _, err := here.Publish(t.Context(), quiet, []byte(`"kept"`), realtime.PublishOptions{}); err != nil {
				t.Fatal(err)
			}
			do(t, admin(t, server.Addr), "SAVE")
			for i := range 3 {
				last = publish(here, fmt.Sprintf(`"forgotten %d"`, i))
			}
			eventually(t, "deliveries", func() bool { return w.has(channelA, `"forgotten 2"`) && w.has(quiet, `"kept"`) })
			// Who follows only now has delivered nothing, and knows the heads.
			late, lateRead := node(t, "late", redis.Options{Address: proxy.addr})
			proxy.refuse()
			server.Restart()
			there := open(t, redis.Options{Address: server.Addr})
			for i := range one.again {
				publish(there, fmt.Sprintf(`"new %d"`, i))
			}
			proxy.accept()
			for who, r := range map[string]*reader{"here": w, "late": lateRead} {
				eventually(t, "the gap", func() bool { return r.gapCount(channelA) > 0 })
				r.mu.Lock()
				if at := r.at[channelA]; at.Epoch == last.Epoch {
					t.Errorf("%s goes on at %v, in the epoch whose offsets were given out twice", who, at)
				}
				if n := len(r.gaps[quiet]); n != 0 {
					t.Errorf("%s is told %d gaps in a channel that has forgotten nothing", who, n)
				}
				r.mu.Unlock()
			}
			settle(t, here, w.watcher)
			settle(t, late, lateRead.watcher)
			nothingTwice(t, "here", w)
			// A client that comes back with a position of before is told, too.
			page, err := here.History(t.Context(), channelA, last, 10)
			if err != nil || page.Gap != realtime.GapEpoch {
				t.Errorf("history since %v: %+v, %v; want gap %q", last, page, err, realtime.GapEpoch)
			}
		})
	}
}
