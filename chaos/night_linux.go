package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"kentongan/chaos/check"
	"kentongan/chaos/stand"
)

// The night is the rolling restart of everything: each part once, one after another, while kitchens work. Clients come over TLS and a real
// nginx; the record is in PostgreSQL. The order is that of docs/operations.md. Nobody may notice anything but the failover, which
// each channel is told a gap for.

// nightSteps returns what is done, in order.
func nightSteps() []fault {
	step := func(does string, gaps func(*stage) bool, hurt func(ctx context.Context, s *stage) error) fault {
		return fault{
			name: "night", does: does, engines: []engine{night}, gaps: gaps,
			hurt: func(ctx context.Context, s *stage, _ *rand.Rand) error {
				if err := hurt(ctx, s); err != nil {
					return err
				}
				return s.calm(ctx)
			},
		}
	}
	steps := []fault{
		step("gateway 1 drained, started again", never, func(ctx context.Context, s *stage) error { return s.renew(ctx, 0) }),
		step("gateway 2 drained, started again", never, func(ctx context.Context, s *stage) error { return s.renew(ctx, 1) }),
		step("nginx: new certificate, reload", never, func(ctx context.Context, s *stage) error { return s.nginx.Reload(ctx) }),
		step("nginx restarted", never, func(ctx context.Context, s *stage) error { return s.nginx.Restart(ctx) }),
		step("replica restarted", never, restartReplica),
		step("failover, old primary restarted", always, handOver),
	}
	for i := range sentinelCount {
		steps = append(steps, step(fmt.Sprintf("sentinel %d restarted", i+1), never, func(ctx context.Context, s *stage) error {
			s.sentinels[i].Stop()
			if err := s.sentinels[i].Start(ctx); err != nil {
				return err
			}
			return s.sentinelsAgree(ctx)
		}))
	}
	return append(steps, step("PostgreSQL restarted, out for 1 s", never, restartPostgres))
}

// calm waits until all clients are connected again, and the kitchen works.
func (s *stage) calm(ctx context.Context) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := s.connected(ctx); err != nil {
		return err
	}
	return s.kitchen.changed(ctx)
}

// renew replaces a gateway by a new process, as an upgrade does.
func (s *stage) renew(ctx context.Context, node int) error {
	const patience = 10 * time.Second // the drain takes two
	if err := s.gateways[node].Drain(patience); err != nil {
		return err
	}
	if err := s.gateways[node].Start(ctx); err != nil {
		return err
	}
	return s.gateways[node].Ready(ctx)
}

// pair returns the primary and its replica.
func (s *stage) pair(ctx context.Context) (primary, replica *stand.Redis, err error) {
	primary, err = s.primaryRedis(ctx)
	if err != nil {
		return nil, nil, err
	}
	if replica = s.redis[0]; replica == primary {
		replica = s.redis[1]
	}
	return primary, replica, nil
}

func restartReplica(ctx context.Context, s *stage) error {
	_, replica, err := s.pair(ctx)
	if err != nil {
		return err
	}
	replica.Stop()
	if err := replica.Start(ctx); err != nil {
		return err
	}
	return s.sentinelsAgree(ctx)
}

// handOver makes the replica the primary in a way in which nothing that was acknowledged is forgotten: writes wait, the replica gets all
// that was written, and the old primary is ended before it takes any again.
func handOver(ctx context.Context, s *stage) error {
	old, next, err := s.pair(ctx)
	if err != nil {
		return err
	}
	const pauseMs = "180000" // longer than we wait; the old primary is ended before
	if _, err := old.Ask(ctx, "CLIENT", "PAUSE", pauseMs, "WRITE"); err != nil {
		return err
	}
	if err := inStep(ctx, old, next); err != nil {
		return err
	}
	if err := s.failover(ctx); err != nil {
		return err
	}
	if err := s.replaced(ctx, old); err != nil {
		return err
	}
	old.Stop()
	if err := old.Follow(next.Address); err != nil {
		return err
	}
	if err := old.Start(ctx); err != nil {
		return err
	}
	return s.sentinelsAgree(ctx)
}

// inStep waits until a replica has all that its primary has, which takes no writes.
func inStep(ctx context.Context, primary, replica *stand.Redis) error {
	field := func(of *stand.Redis, name string) string {
		text, err := of.Ask(ctx, "INFO", "replication")
		if err != nil {
			return err.Error()
		}
		_, rest, _ := strings.Cut(text, "\r\n"+name+":")
		value, _, _ := strings.Cut(rest, "\r\n")
		return value
	}
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		// The replica first: the primary's number grows by pings.
		if has, all := field(replica, "slave_repl_offset"), field(primary, "master_repl_offset"); has != "" && has == all {
			return nil
		}
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the replica does not catch up with the primary")
}

// failover asks the first Sentinel for one; right after a restart it may not know yet that the replica is fit.
func (s *stage) failover(ctx context.Context) error {
	const patience = 10 * time.Second
	for deadline := time.Now().Add(patience); ; {
		_, err := s.sentinels[0].Ask(ctx, "SENTINEL", "FAILOVER", sentinelName)
		if err == nil || !strings.Contains(err.Error(), "NOGOODSLAVE") || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

func restartPostgres(ctx context.Context, s *stage) error {
	s.postgres.Stop()
	if err := sleep(ctx, time.Second); err != nil {
		return err
	}
	return s.postgres.Start(ctx)
}

// dusk starts what gateways need in the night beside Redis.
func (s *stage) dusk(ctx context.Context) (err error) {
	if s.postgres, err = stand.NewPostgres(s.dir); err != nil {
		return err
	}
	return s.postgres.Start(ctx)
}

// lead puts nginx before the gateways, and opens the kitchen.
func (s *stage) lead(ctx context.Context) (err error) {
	recipe, err := recipe(ctx)
	if err != nil {
		return err
	}
	if s.authority, err = stand.NewAuthority(); err != nil {
		return err
	}
	nodes := s.nodeAddresses()
	if len(nodes) != 2 {
		return fmt.Errorf("the night is one of 2 gateways, as in the recipe of nginx; there are %d", len(nodes))
	}
	if s.nginx, err = stand.NewNginx(s.dir, recipe, s.authority, [2]string(nodes)); err != nil {
		return err
	}
	return s.nginx.Start(ctx)
}

// recipe returns the settings of nginx that operators copy.
func recipe(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the recipe of nginx: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "deploy", "nginx", "kentongan.conf"))
	if err != nil {
		return "", fmt.Errorf("find the recipe of nginx: %w", err)
	}
	return string(text), nil
}

// step is what one part of the night has cost.
type step struct {
	does     string
	took     time.Duration
	silences []time.Duration
	gaps     int // told until the next step
	again    int // attempts of the kitchen's changes that had to be made again
}

// steps returns the parts of the night.
func (s *stage) steps(r *record) []step {
	s.mu.Lock()
	spans := s.spans
	s.mu.Unlock()
	all := make([]step, len(spans))
	for i, span := range spans {
		until := s.clock()
		if i+1 < len(spans) {
			until = spans[i+1].From
		}
		all[i] = step{does: s.faults[i].does, took: span.Until - span.From, silences: check.Silences([]check.Span{span}, r.Subscribers)}
		for j := range r.Subscribers {
			for _, e := range r.Subscribers[j].Events {
				if e.Kind == check.Gap && span.From <= e.At && e.At < until {
					all[i].gaps++
				}
			}
		}
		s.kitchen.mu.Lock()
		for _, at := range s.kitchen.failed {
			if span.From <= at && at < until {
				all[i].again++
			}
		}
		s.kitchen.mu.Unlock()
	}
	return all
}

// printSteps writes the parts of the night, a line for each.
func printSteps(out io.Writer, steps []step) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "step\ttook ms\tsilence p50\tp99\tmax ms\tgaps\tchanges again\t")
	for _, s := range steps {
		quantile := func(part float64) int64 { return check.Quantile(s.silences, part).Milliseconds() }
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t\n", s.does, s.took.Milliseconds(), quantile(0.5), quantile(0.99), quantile(1),
			s.gaps, s.again)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
