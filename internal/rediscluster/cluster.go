// Package rediscluster makes a Redis Cluster of servers that run already, and moves slots of it from node to node, step by step as
// redis-cli does. It is for tests and for runs that break things: the servers keep their passwords and addresses to themselves, and none
// of what is here is careful with data that somebody needs.
package rediscluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/nap"
)

// Slots is how many slots a Cluster has.
const Slots = 16384

// patience is how long nodes may take to agree, on a machine that has much else to do.
const patience = 60 * time.Second

type nodes []*node

// Form makes a Cluster of the servers at these addresses, which must have been started with cluster-enabled and know nothing. The first
// ones are primaries and share all slots; the others are replicas of them, in turn. It waits until every node knows all of that and every
// replica has the data of its primary.
func Form(ctx context.Context, addresses []string, primaries int) error {
	nodes, err := dial(addresses)
	defer nodes.close()
	if err != nil {
		return err
	}
	for i, n := range nodes[:primaries] {
		first, last := i*Slots/primaries, (i+1)*Slots/primaries-1
		if _, err := n.ask(ctx, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
			return err
		}
	}
	for i, n := range nodes {
		if _, err := n.ask(ctx, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	for _, n := range nodes[1:] {
		host, port, err := net.SplitHostPort(n.address)
		if err != nil {
			return fmt.Errorf("address of a node: %w", err)
		}
		bus, err := n.busPort(ctx)
		if err != nil {
			return err
		}
		if _, err := nodes[0].ask(ctx, "CLUSTER", "MEET", host, port, bus); err != nil {
			return err
		}
	}
	for _, n := range nodes {
		if err := n.await(ctx, "cluster_known_nodes:"+strconv.Itoa(len(nodes)), "CLUSTER", "INFO"); err != nil {
			return err
		}
	}
	for i, n := range nodes[primaries:] {
		id, err := nodes[i%primaries].ask(ctx, "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		if err := n.await(ctx, id+" ", "CLUSTER", "NODES"); err != nil {
			return err
		}
		if _, err := n.ask(ctx, "CLUSTER", "REPLICATE", id); err != nil {
			return err
		}
	}
	return nodes.agree(ctx, primaries)
}

// agree waits until every node is well and knows all others.
func (all nodes) agree(ctx context.Context, primaries int) error {
	for i, n := range all {
		if err := n.await(ctx, "cluster_state:ok", "CLUSTER", "INFO"); err != nil {
			return err
		}
		if i >= primaries {
			if err := n.await(ctx, "master_link_status:up", "INFO", "replication"); err != nil {
				return err
			}
		}
		// Each knows of each replica whose it is: one that is elected is followed by all.
		if len(all) > primaries {
			if err := n.awaitAll(ctx, len(all)-primaries, "slave ", "CLUSTER", "NODES"); err != nil {
				return err
			}
		}
	}
	return all.quiet(ctx)
}

// quiet waits until each node has a link to and from every other one, and they stay what they are: some are made anew while nodes introduce
// themselves.
func (all nodes) quiet(ctx context.Context) error {
	last, same := "", 0
	const times = 5 // of which each is longer than the tenth of a second in which nodes look after their links
	for deadline := time.Now().Add(patience); same < times; {
		now, complete := "", true
		for _, n := range all {
			links, err := n.client.Do(ctx, n.client.B().ClusterLinks().Build()).ToArray()
			if err != nil {
				return fmt.Errorf("node %s, CLUSTER LINKS: %w", n.address, err)
			}
			complete = complete && len(links) == 2*(len(all)-1)
			for i := range links {
				made, err := links[i].AsMap()
				if err != nil {
					return fmt.Errorf("node %s, CLUSTER LINKS: %w", n.address, err)
				}
				at, node := made["create-time"], made["node"]
				ms, err1 := at.AsInt64()
				id, err2 := node.ToString()
				if err := errors.Join(err1, err2); err != nil {
					return fmt.Errorf("node %s, CLUSTER LINKS: %w", n.address, err)
				}
				now = fmt.Sprint(now, id, ms)
			}
		}
		same++
		if now != last || !complete {
			last, same = now, 0
		}
		if time.Now().After(deadline) {
			return errors.New("the links of the cluster do not come to rest")
		}
		if err := sleep(ctx, 120*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// Owner returns the address of the node that has a slot, as the first of asked that answers knows it.
func Owner(ctx context.Context, asked []string, slot int) (string, error) {
	var errs []error
	for _, address := range asked {
		owner, err := ownerAt(ctx, address, slot)
		if err == nil {
			return owner, nil
		}
		errs = append(errs, err)
	}
	return "", fmt.Errorf("owner of slot %d: %w", slot, errors.Join(errs...))
}

func ownerAt(ctx context.Context, address string, slot int) (string, error) {
	nodes, err := dial([]string{address})
	defer nodes.close()
	if err != nil {
		return "", err
	}
	ranges, err := nodes[0].client.Do(ctx, nodes[0].client.B().ClusterSlots().Build()).ToArray()
	if err != nil {
		return "", fmt.Errorf("ask %s for slots: %w", address, err)
	}
	for i := range ranges {
		parts, err := ranges[i].ToArray()
		if err != nil || len(parts) < 3 {
			continue
		}
		first, err1 := parts[0].AsInt64()
		last, err2 := parts[1].AsInt64()
		node, err3 := parts[2].ToArray()
		if err := errors.Join(err1, err2, err3); err != nil || len(node) < 2 || int64(slot) < first || int64(slot) > last {
			continue
		}
		host, err1 := node[0].ToString()
		port, err2 := node[1].AsInt64()
		return net.JoinHostPort(host, strconv.FormatInt(port, 10)), errors.Join(err1, err2)
	}
	return "", fmt.Errorf("%s knows no owner of slot %d", address, slot)
}

// Migration is a slot on its way from one node to another.
type Migration struct {
	Slot     int
	From, To string
	Others   []string // the other nodes, which are told at the end
}

// keysAtOnce is how many keys one step moves: as many as redis-cli does.
const keysAtOnce = 10

// Begin opens the slot at both ends: from here on what is not at From is asked for at To.
func (m *Migration) Begin(ctx context.Context) error {
	return m.with(func(from, to *node) error {
		fromID, err := from.ask(ctx, "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		toID, err := to.ask(ctx, "CLUSTER", "MYID")
		if err != nil {
			return err
		}
		if _, err := to.ask(ctx, "CLUSTER", "SETSLOT", strconv.Itoa(m.Slot), "IMPORTING", fromID); err != nil {
			return err
		}
		_, err = from.ask(ctx, "CLUSTER", "SETSLOT", strconv.Itoa(m.Slot), "MIGRATING", toID)
		return err
	})
}

// Carry moves all keys, some at a time, with a pause after each step.
func (m *Migration) Carry(ctx context.Context, pause time.Duration) error {
	return m.with(func(from, to *node) error {
		host, port, err := net.SplitHostPort(to.address)
		if err != nil {
			return fmt.Errorf("address of a node: %w", err)
		}
		for {
			keys, err := from.list(ctx, "CLUSTER", "GETKEYSINSLOT", strconv.Itoa(m.Slot), strconv.Itoa(keysAtOnce))
			if err != nil || len(keys) == 0 {
				return err
			}
			if _, err := from.ask(ctx, append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...); err != nil {
				return err
			}
			if err := sleep(ctx, pause); err != nil {
				return err
			}
		}
	})
}

// End gives the slot to To. All keys have to be there.
func (m *Migration) End(ctx context.Context) error {
	to, err := dial([]string{m.To})
	defer to.close()
	if err != nil {
		return err
	}
	id, err := to[0].ask(ctx, "CLUSTER", "MYID")
	if err != nil {
		return err
	}
	nodes, err := dial(append([]string{m.To, m.From}, m.Others...))
	defer nodes.close()
	if err != nil {
		return err
	}
	for _, n := range nodes {
		_, err := n.ask(ctx, "CLUSTER", "SETSLOT", strconv.Itoa(m.Slot), "NODE", id)
		if err != nil && !strings.Contains(err.Error(), "only with masters") { // replicas hear of it from theirs
			return err
		}
	}
	return nil
}

// Move does all three.
func (m *Migration) Move(ctx context.Context, pause time.Duration) error {
	err := m.Begin(ctx)
	if err == nil {
		err = m.Carry(ctx, pause)
	}
	if err == nil {
		err = m.End(ctx)
	}
	return err
}

func (m *Migration) with(do func(from, to *node) error) error {
	nodes, err := dial([]string{m.From, m.To})
	defer nodes.close()
	if err != nil {
		return err
	}
	return do(nodes[0], nodes[1])
}

// node is a connection to one of them.
type node struct {
	address string
	client  rueidis.Client
}

func dial(addresses []string) (nodes, error) {
	var all nodes
	for _, address := range addresses {
		c, err := rueidis.NewClient(rueidis.ClientOption{
			InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true, DisableRetry: true,
			ClientSetInfo: rueidis.DisableClientSetInfo,
		})
		if err != nil {
			if c != nil {
				c.Close()
			}
			return all, fmt.Errorf("connect to node %s: %w", address, err)
		}
		all = append(all, &node{address, c})
	}
	return all, nil
}

func (all nodes) close() {
	for _, n := range all {
		n.client.Close()
	}
}

func (n *node) do(ctx context.Context, command []string) rueidis.RedisResult {
	return n.client.Do(ctx, n.client.B().Arbitrary(command...).Build())
}

func (n *node) ask(ctx context.Context, command ...string) (string, error) {
	answer, err := n.do(ctx, command).ToString()
	if err != nil {
		return "", fmt.Errorf("node %s, %s: %w", n.address, strings.Join(command[:min(2, len(command))], " "), err)
	}
	return answer, nil
}

func (n *node) list(ctx context.Context, command ...string) ([]string, error) {
	answer, err := n.do(ctx, command).AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("node %s, %s: %w", n.address, command[0], err)
	}
	return answer, nil
}

// busPort returns where the node speaks with others, which with TLS is not 10,000 above where it is asked here.
func (n *node) busPort(ctx context.Context) (string, error) {
	self, err := n.ask(ctx, "CLUSTER", "NODES") // so far it knows nobody else
	if err != nil {
		return "", err
	}
	_, rest, _ := strings.Cut(self, "@")
	return rest[:strings.IndexFunc(rest+" ", func(r rune) bool { return r < '0' || r > '9' })], nil
}

// await asks until the answer has want in it.
func (n *node) await(ctx context.Context, want string, command ...string) error {
	return n.awaitAll(ctx, 1, want, command...)
}

// awaitAll asks until the answer has want in it so many times.
func (n *node) awaitAll(ctx context.Context, times int, want string, command ...string) error {
	last := ""
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		answer, err := n.ask(ctx, command...)
		if err != nil {
			return err
		}
		if last = answer; strings.Count(answer, want) >= times {
			return nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("node %s answers %s with %q, and %d of %q are wanted", n.address, command[0], last, times, want)
}

func sleep(ctx context.Context, d time.Duration) error {
	if !nap.For(ctx, d) {
		return ctx.Err() //nolint:wrapcheck // it is the end
	}
	return nil
}

// Others returns all without some.
func Others(all []string, without ...string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(a string) bool { return slices.Contains(without, a) })
}
