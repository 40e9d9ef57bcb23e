package shared

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Listen implements Tier.
func (r *Redis) Listen(l Listener) { r.listener = l }

// changed is called by the goroutine that reads the connection, so that what is told before an answer is known before it.
func (r *Redis) changed(messages []rueidis.RedisMessage) {
	if r.listener == nil {
		return
	}
	if messages == nil { // the connection ended, or everything was flushed
		r.listener.Lost()
		return
	}
	keys := make([]string, 0, len(messages))
	var fences []string
	for i := range messages {
		key, err := messages[i].ToString()
		if err != nil {
			continue
		}
		if id, ok := strings.CutPrefix(key, fencePrefix); ok {
			fences = append(fences, id)
			continue
		}
		keys = append(keys, key)
	}
	if len(keys) > 0 {
		r.listener.Changed(keys)
	}
	for _, id := range fences {
		select {
		case r.acks <- id:
		default: // so many wait at once that they will wait for their bound
		}
	}
}

// acknowledge tells those who wait that this node has heard of all that was before.
func (r *Redis) acknowledge() {
	defer close(r.stopped)
	for {
		select {
		case <-r.stop:
			return
		case id := <-r.acks:
			ctx, cancel := context.WithTimeout(context.Background(), r.opts.CommandTimeout)
			_, err := r.do(ctx, r.commands,
				step{keys: []string{ackPrefix + id}, args: []string{"SADD", r.node}},
				step{keys: []string{ackPrefix + id}, args: []string{"EXPIRE", "60"}})
			cancel()
			if err != nil {
				r.opts.Log.Debug("acknowledgement of an invalidation failed", "err", err)
			}
		}
	}
}

// Fence implements Tier. The sign of life goes over the connection that hears of changes: what Redis told before its answer has been
// heard when the answer is here.
func (r *Redis) Fence(ctx context.Context) (Passed, error) {
	if r.opts.Cluster {
		return Passed{}, fmt.Errorf("fence: %w", errors.ErrUnsupported)
	}
	r.answer.Do(func() { go r.acknowledge() }) //nolint:contextcheck // it ends with the tier
	results, err := r.do(ctx, r.hearing,
		step{args: []string{"CLIENT", "ID"}},
		step{script: fenceScript, keys: []string{nodesKey}, args: []string{r.node}})
	if err != nil {
		return Passed{}, fmt.Errorf("fence: %w", err)
	}
	id, err := results[0].AsInt64()
	if err != nil {
		return Passed{}, fmt.Errorf("fence: %w", err)
	}
	answer, err := results[1].AsStrSlice()
	if err != nil || len(answer) != 2 {
		return Passed{}, fmt.Errorf("fence: %w: an answer of %d parts", errors.Join(err), len(answer))
	}
	now, err := strconv.ParseInt(answer[0], 10, 64)
	if err != nil {
		return Passed{}, fmt.Errorf("fence: %w", err)
	}
	// Two processes may give the same number to a connection.
	return Passed{answer[1] + " " + strconv.FormatInt(id, 10), now}, nil
}

// AwaitNodes implements Tier.
func (r *Redis) AwaitNodes(ctx context.Context, bound time.Duration) error {
	ends := time.Now().Add(bound)
	id := NewToken()
	var nodes []string
	known := false
	if !r.opts.Cluster { // there nobody hears of anything, and memory answers for the bound after each read
		results, err := r.do(ctx, r.commands, step{
			script: awaitScript, keys: []string{nodesKey, fencePrefix + id}, args: []string{strconv.FormatInt(bound.Microseconds(), 10)},
		})
		if err == nil {
			nodes, err = results[0].AsStrSlice()
			known = err == nil
		}
	}
	for pause := 500 * time.Microsecond; ; pause = min(2*pause, bound/20) {
		if known && r.allHere(ctx, id, nodes) {
			return nil
		}
		left := time.Until(ends)
		if left <= 0 {
			return nil // who has not answered by now has stopped answering from memory
		}
		timer := time.NewTimer(min(pause, left))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

func (r *Redis) allHere(ctx context.Context, id string, nodes []string) bool {
	if len(nodes) == 0 {
		return true
	}
	results, err := r.do(ctx, r.commands, step{keys: []string{ackPrefix + id}, args: []string{"SMEMBERS"}, read: true})
	if err != nil {
		return false
	}
	here, err := results[0].AsStrSlice()
	if err != nil {
		return false
	}
	passed := make(map[string]bool, len(here))
	for _, n := range here {
		passed[n] = true
	}
	for _, n := range nodes {
		if !passed[n] {
			return false
		}
	}
	return true
}
