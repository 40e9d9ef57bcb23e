//go:build unix

package testenv

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// StartCluster starts a Redis Cluster of three nodes without replicas, and returns their addresses.
func StartCluster(t testing.TB) []string {
	t.Helper()
	const nodes, slots = 3, 16384
	addrs := make([]string, nodes)
	for i := range addrs {
		// The port of its bus is 10,000 above its own, which is as likely to be free.
		addrs[i] = StartRedis(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "5000").Addr
		first, last := i*slots/nodes, (i+1)*slots/nodes-1
		if answer := inline(addrs[i], fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", first, last)); !strings.Contains(answer, "OK") {
			t.Fatalf("slots %d to %d: %s", first, last, answer)
		}
	}
	for _, addr := range addrs[1:] {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		if answer := inline(addrs[0], fmt.Sprintf("CLUSTER MEET %s %s", host, port)); !strings.Contains(answer, "OK") {
			t.Fatalf("meet %s: %s", addr, answer)
		}
	}
	for _, addr := range addrs {
		var answer string
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			answer = inline(addr, "CLUSTER INFO")
			if strings.Contains(answer, "cluster_state:ok") && strings.Contains(answer, "cluster_known_nodes:3") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the cluster does not get well: %s", answer)
			}
		}
	}
	return addrs
}
