//go:build unix

package testenv

import (
	"context"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"kentongan/internal/process"
	"kentongan/internal/rediscluster"
)

// Cluster is a Redis Cluster of three primaries, each with a replica or none.
type Cluster struct {
	Servers   []*RedisServer // the primaries at the start, and then their replicas
	Addresses []string       // of all of them
}

// clusterPrimaries is the least that can elect a replica when one of them is gone.
const clusterPrimaries = 3

// StartCluster starts three nodes without replicas, and returns their addresses.
func StartCluster(t testing.TB) []string {
	t.Helper()
	return startCluster(t, clusterPrimaries, 5*time.Second).Addresses
}

// StartClusterWithReplicas starts three primaries with a replica each, with args for all servers. A primary that does not answer for
// timeout is taken for down, and its replica promoted within some two seconds more.
func StartClusterWithReplicas(t testing.TB, timeout time.Duration, args ...string) *Cluster {
	t.Helper()
	return startCluster(t, 2*clusterPrimaries, timeout, args...)
}

// StartClusterWithTLS starts three nodes without replicas, which speak TLS with each other, and returns where clients find it. The file has
// a certificate for 127.0.0.1 that signs itself, and its key.
func StartClusterWithTLS(t testing.TB, file string) []string {
	t.Helper()
	var plain, secure []string
	for range clusterPrimaries {
		address := ""
		s := startRedis(t, func() []string {
			address = process.FreeAddresses(1)[0]
			_, port, _ := net.SplitHostPort(address) // an address of this machine
			return []string{
				"--cluster-enabled", "yes", "--tls-cluster", "yes", "--tls-port", port, "--tls-cert-file", file, "--tls-key-file", file,
				"--tls-ca-cert-file", file, "--tls-auth-clients", "no",
			}
		})
		plain, secure = append(plain, s.Addr), append(secure, address)
	}
	if err := rediscluster.Form(context.Background(), plain, clusterPrimaries); err != nil {
		t.Fatal(err)
	}
	return secure
}

func startCluster(t testing.TB, nodes int, timeout time.Duration, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{}
	// The port of the bus is 10,000 above its own, which is as likely to be free. Without a delay a replica is there at once.
	args = append([]string{"--cluster-enabled", "yes", "--cluster-node-timeout", strconv.FormatInt(timeout.Milliseconds(), 10), "--repl-diskless-sync-delay", "0"}, args...)
	for range nodes {
		s := StartRedis(t, args...)
		c.Servers = append(c.Servers, s)
		c.Addresses = append(c.Addresses, s.Addr)
	}
	if err := rediscluster.Form(context.Background(), c.Addresses, clusterPrimaries); err != nil {
		t.Fatal(err)
	}
	return c
}

// Owner returns the node that has a slot, as witness knows it, which must run.
func (c *Cluster) Owner(t testing.TB, witness *RedisServer, slot int) *RedisServer {
	t.Helper()
	address, err := rediscluster.Owner(context.Background(), []string{witness.Addr}, slot)
	if err != nil {
		t.Fatal(err)
	}
	return c.at(t, address)
}

func (c *Cluster) at(t testing.TB, address string) *RedisServer {
	t.Helper()
	i := slices.Index(c.Addresses, address)
	if i < 0 {
		t.Fatalf("the slot is at %s, which is none of ours", address)
	}
	return c.Servers[i]
}

// Migration returns the move of a slot to the node to.
func (c *Cluster) Migration(t testing.TB, slot int, to *RedisServer) rediscluster.Migration {
	t.Helper()
	from := c.Owner(t, to, slot).Addr
	return rediscluster.Migration{Slot: slot, From: from, To: to.Addr, Others: rediscluster.Others(c.Addresses, from, to.Addr)}
}
