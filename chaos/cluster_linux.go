package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kentongan/chaos/check"
	"kentongan/chaos/stand"
	"kentongan/internal/rediscluster"
)

const (
	clusterPrimaries = 3    // the least that can elect a replica when one of them is gone
	clusterSlot      = 5906 // in which the server keeps everything
)

// nodeTimeout is how long a node of the Cluster is silent before the others take it for dead. Half of it is how long a link between
// nodes may be silent before it is made anew, which the server tells as a gap: on a machine that has much else to do, a short one
// finds links that are well. So it is short only where failovers are waited for.
func (s *stage) nodeTimeout() time.Duration {
	for _, f := range s.faults {
		if f.name != "F10" {
			return 2 * time.Second
		}
	}
	return 15 * time.Second // what Redis has by default
}

// startCluster starts three primaries with a replica each.
func (s *stage) startCluster(ctx context.Context) error {
	settings := append(s.redisSettings(), "--cluster-enabled", "yes", "--cluster-node-timeout", fmt.Sprint(s.nodeTimeout().Milliseconds()))
	for i := range 2 * clusterPrimaries {
		node, err := s.startClusterNode(ctx, fmt.Sprintf("node-%d", i), settings)
		if err != nil {
			return err
		}
		s.redis = append(s.redis, node)
	}
	if err := rediscluster.Form(ctx, s.clusterAddresses(), clusterPrimaries); err != nil {
		return fmt.Errorf("form the cluster: %w", err)
	}
	return nil
}

// startClusterNode tries some addresses: the port of the bus is 10,000 above each, and may be taken, or too high.
func (s *stage) startClusterNode(ctx context.Context, name string, settings []string) (*stand.Redis, error) {
	const attempts = 20
	var last error
	for range attempts {
		node, err := stand.NewRedis(s.dir, name, settings...)
		if err != nil {
			return nil, err
		}
		if last = node.Start(ctx); last == nil {
			return node, nil
		}
		node.Close()
	}
	return nil, last
}

func (s *stage) clusterAddresses() []string {
	all := make([]string, len(s.redis))
	for i, node := range s.redis {
		all[i] = node.Address
	}
	return all
}

// clusterOwner returns the address of the node that has the slot, as most of the nodes that answer know it: one that was away believes
// for a moment what was true before.
func (s *stage) clusterOwner(ctx context.Context) (string, error) {
	named, most := map[string]int{}, ""
	var errs []error
	for _, node := range s.clusterAddresses() {
		limited, cancel := context.WithTimeout(ctx, time.Second)
		owner, err := rediscluster.Owner(limited, []string{node}, clusterSlot)
		cancel()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		named[owner]++
		if named[owner] > named[most] {
			most = owner
		}
	}
	if most == "" {
		return "", errors.Join(errs...)
	}
	return most, nil
}

// clusterAgrees waits until all nodes are well, and all replicas have the data of their primaries.
func (s *stage) clusterAgrees(ctx context.Context) error {
	last := ""
	for deadline := time.Now().Add(sentinelPatience); time.Now().Before(deadline); {
		well, replicas := 0, 0
		for _, node := range s.redis {
			state, err := node.Ask(ctx, "CLUSTER", "INFO")
			role, err2 := node.Ask(ctx, "INFO", "replication")
			if last = fmt.Sprint(state, role, err, err2); strings.Contains(state, "cluster_state:ok") {
				well++
			}
			if strings.Contains(role, "master_link_status:up") {
				replicas++
			}
		}
		if well == len(s.redis) && replicas == len(s.redis)-clusterPrimaries {
			return nil
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the cluster does not get well: %s", last)
}

// anywhere returns where publisher i sends PUBLISH to: in a Cluster to whatever node.
func (s *stage) anywhere(i int, primary func(context.Context) (string, error)) func(context.Context) (string, error) {
	if s.engine != cluster {
		return primary
	}
	return func(context.Context) (string, error) { return s.redis[i%len(s.redis)].Address, nil }
}

// moveSlot moves the slot to another primary, a few keys at a time, under load.
func moveSlot(ctx context.Context, s *stage, r *rand.Rand) error {
	s.redisLock.Lock()
	defer s.redisLock.Unlock()
	from, err := s.clusterOwner(ctx)
	if err != nil {
		return err
	}
	var primaries []string
	for _, node := range s.redis {
		if role, err := node.Ask(ctx, "INFO", "replication"); err == nil && strings.Contains(role, "role:master") && node.Address != from {
			primaries = append(primaries, node.Address)
		}
	}
	if len(primaries) == 0 {
		return errors.New("move the slot: there is no other primary")
	}
	to := primaries[r.IntN(len(primaries))]
	m := rediscluster.Migration{Slot: clusterSlot, From: from, To: to, Others: rediscluster.Others(s.clusterAddresses(), from, to)}
	if err := m.Move(ctx, upTo(r, 5*time.Millisecond)); err != nil {
		return fmt.Errorf("move the slot: %w", err)
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.clusterAgrees(ctx)
}

// excuseLinks notes the breaks of links between nodes that the gateways have told of: a machine that has too much to do breaks some that no
// fault has in hand, and what was on them may be missing.
func (s *stage) excuseLinks() error {
	for i := range s.gateways {
		text, err := os.ReadFile(filepath.Join(s.dir, fmt.Sprintf("gateway-%d.log", i)))
		if err != nil {
			return fmt.Errorf("read what a gateway has told: %w", err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if !strings.Contains(line, "a link between nodes of the Cluster broke") {
				continue
			}
			var told struct{ Time time.Time }
			if err := json.Unmarshal([]byte(line), &told); err != nil {
				return fmt.Errorf("read what a gateway has told: %w", err)
			}
			const spread = 15 * time.Second // as after a fault
			at := told.Time.Sub(s.began.Round(0))
			s.mu.Lock()
			s.world.Excuses = append(s.world.Excuses, check.Excuse{From: at - time.Second, Until: at + spread})
			s.mu.Unlock()
		}
	}
	return nil
}
