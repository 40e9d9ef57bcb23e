package redis_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
)

// TestClusterFailover publishes over two nodes while the owner of the slot is replaced by its replica: first one that is killed, and then
// one that stands still and comes back. As with Sentinels, what was acknowledged and is not there any more is told as a gap.
func TestClusterFailover(t *testing.T) {
	t.Parallel() // most of it is waiting until the nodes of the Cluster agree
	c := testenv.StartClusterWithReplicas(t, time.Second)
	for _, one := range []struct {
		name       string
		begin, end func(*testenv.RedisServer)
	}{
		{"Killed", (*testenv.RedisServer).Kill, (*testenv.RedisServer).Restart},
		{"Paused", (*testenv.RedisServer).Pause, (*testenv.RedisServer).Resume},
	} {
		t.Run(one.name, func(t *testing.T) {
			opts := redis.Options{Cluster: c.Addresses[:1], Names: bigHistory(t), Prefix: newPrefix()}
			b1, read1 := node(t, "one", opts)
			b2, read2 := node(t, "two", opts)
			stop := make(chan struct{})
			waits := []func() map[string]realtime.Position{publishFrom(t, "one", b1, stop), publishFrom(t, "two", b2, stop)}
			published := func() uint64 { return b1.Stats().Published + b2.Stats().Published }
			eventually(t, "publications", func() bool { return published() > 200 })

			witness := c.Servers[2] // of another shard: slot 5906 is of the second primary and its replica
			old := c.Owner(t, witness, ourSlot)
			one.begin(old)
			eventually(t, "another owner", func() bool { return c.Owner(t, witness, ourSlot) != old })
			before := published()
			eventually(t, "publications at the new owner", func() bool { return published() > before+200 })
			one.end(old)
			eventually(t, "the old owner to be a replica in step", func() bool {
				return strings.Contains(ask(t, old.Addr, "INFO replication"), "master_link_status:up")
			})
			before = published()
			eventually(t, "more publications", func() bool { return published() > before+200 })
			close(stop)
			for _, wait := range waits {
				for data := range wait() {
					for _, r := range []*reader{read1, read2} {
						eventually(t, "what was acknowledged, or a gap", func() bool {
							return r.has(channelA, data) || r.gapCount(channelA) > 0
						})
					}
				}
			}
			settle(t, b1, read1.watcher)
			settle(t, b2, read2.watcher)
			for who, r := range map[string]*reader{"one": read1, "two": read2} {
				nothingTwice(t, who, r)
				r.clock.Lock()
				t.Logf("%s: silent for %v at the longest; %d gaps", who, r.clock.longest, r.gapCount(channelA))
				r.clock.Unlock()
			}
		})
	}
}

// TestClusterAnswersOfOld has everybody named a node that does not have the slot, and then told the truth.
func TestClusterAnswersOfOld(t *testing.T) {
	t.Parallel() // as TestClusterFailover
	addresses := testenv.StartCluster(t)
	seed := newOracle(t, addresses[2])
	b := open(t, redis.Options{Cluster: []string{seed.addr}, CommandTimeout: time.Second})
	run(t, b, nothing{})
	const why = "the slot is at another node now"
	eventually(t, "the node to say why", func() bool { err := b.Ready(); return err != nil && strings.Contains(err.Error(), why) })
	seed.names(addresses[1], 101)
	eventually(t, "the node to find it", func() bool { return b.Ready() == nil })
	if _, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{}); err != nil {
		t.Error(err)
	}
}

// oracle answers like a node of a Cluster, and names one for all slots.
type oracle struct {
	addr   string
	answer atomic.Pointer[string]
}

func newOracle(t *testing.T, names string) *oracle {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o := &oracle{addr: l.Addr().String()}
	o.names(names, 100)
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	t.Cleanup(func() { _ = l.Close() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			wg.Go(func() {
				defer func() { _ = conn.Close() }()
				for scan := bufio.NewScanner(conn); scan.Scan(); {
					if scan.Text() != "NODES" { // which comes last
						continue
					}
					if _, err := conn.Write([]byte(*o.answer.Load())); err != nil {
						return
					}
				}
			})
		}
	})
	return o
}

// names has it name a node from now on, in a configuration of that epoch.
func (o *oracle) names(address string, epoch int) {
	host, port, _ := strings.Cut(address, ":")
	line := fmt.Sprintf("id %s@1 master - 0 0 %d connected 0-16383\n", address, epoch)
	answer := fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$%d\r\n%s\r\n:%s\r\n$2\r\nid\r\n*0\r\n$%d\r\n%s\r\n", len(host), host, port, len(line), line)
	o.answer.Store(&answer)
}

// TestClusterTLS has a Cluster whose nodes are found and asked over TLS, with certificates that are checked.
func TestClusterTLS(t *testing.T) {
	t.Parallel() // as TestClusterFailover
	cert, pool := certificate(t)
	addresses := testenv.StartClusterWithTLS(t, cert)
	b, w := follow(t, redis.Options{Cluster: addresses[:1], TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	settle(t, b, w)
	stranger := open(t, redis.Options{Cluster: addresses, TLS: &tls.Config{MinVersion: tls.VersionTLS12}, CommandTimeout: time.Second})
	run(t, stranger, nothing{})
	eventually(t, "an unknown certificate to be refused", func() bool {
		err := stranger.Ready()
		return err != nil && strings.Contains(err.Error(), "certificate signed by unknown authority")
	})
}
