package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"kentongan/chaos/stand"
)

// sentinelName is what the Sentinels call the primary.
const sentinelName = "kitchens"

// sentinelCount is how many Sentinels there are: two of them have to agree.
const sentinelCount = 3

// downAfter is how long a primary is silent before the Sentinels take it for dead.
const downAfter = time.Second

// startSentinels starts a replica of the Redis that runs, and three Sentinels over both.
func (s *stage) startSentinels(ctx context.Context) error {
	replica, err := stand.NewRedis(s.dir, "replica", s.redisSettings()...)
	if err == nil {
		err = replica.Follow(s.redis[0].Address)
	}
	if err != nil {
		return err
	}
	s.redis = append(s.redis, replica)
	if err := replica.Start(ctx); err != nil {
		return err
	}
	for i := range sentinelCount {
		one, err := stand.NewSentinel(s.dir, fmt.Sprintf("sentinel-%d", i), s.redis[0].Address, sentinelName, downAfter)
		if err != nil {
			return err
		}
		s.sentinels = append(s.sentinels, one)
		if err := one.Start(ctx); err != nil {
			return err
		}
	}
	return s.sentinelsAgree(ctx)
}

// sentinelPatience is how long Sentinels may take. One that was starved of its CPU does nothing for 30 s by itself (it calls that TILT).
const sentinelPatience = 90 * time.Second

// sentinelsAgree waits until every Sentinel knows the others and a replica that is in step.
func (s *stage) sentinelsAgree(ctx context.Context) error {
	last, usable := "", fmt.Sprint(sentinelCount, " usable")
	for deadline := time.Now().Add(sentinelPatience); time.Now().Before(deadline); {
		agreed := 0
		for _, one := range s.sentinels {
			reply, err := one.Ask(ctx, "SENTINEL", "CKQUORUM", sentinelName)
			replicas, err2 := one.Ask(ctx, "INFO", "sentinel")
			last = fmt.Sprint(reply, replicas, err, err2)
			if err == nil && err2 == nil && strings.Contains(reply, usable) && strings.Contains(replicas, "slaves=1,sentinels=3") {
				agreed++
			}
		}
		if at, err := s.primaryRedis(ctx); err == nil && agreed == len(s.sentinels) {
			if role, err := at.Ask(ctx, "INFO", "replication"); err == nil && strings.Contains(role, "state=online") {
				return nil
			}
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return fmt.Errorf("the sentinels do not agree: %s", last)
}

func (s *stage) sentinelAddresses() string {
	all := make([]string, len(s.sentinels))
	for i, one := range s.sentinels {
		all[i] = one.Address
	}
	return strings.Join(all, ",")
}

// askSentinel returns the address of the primary, as the first Sentinel that answers knows it.
func (s *stage) askSentinel(ctx context.Context) (string, error) {
	for _, one := range s.sentinels {
		reply, err := one.Ask(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinelName)
		if fields := strings.Fields(strings.TrimPrefix(reply, "*")); err == nil && len(fields) == 2 {
			return net.JoinHostPort(fields[0], fields[1]), nil
		}
	}
	return "", errors.New("no sentinel knows a primary")
}

// primaryRedis returns the process of the primary, or of the owner of the slot.
func (s *stage) primaryRedis(ctx context.Context) (*stand.Redis, error) {
	address, err := s.primary(ctx)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(s.redis, func(r *stand.Redis) bool { return r.Address == address })
	if at < 0 {
		return nil, fmt.Errorf("the primary is named as %s, which is none of ours", address)
	}
	return s.redis[at], nil
}

// replaced waits until another primary than old is named.
func (s *stage) replaced(ctx context.Context, old *stand.Redis) error {
	for deadline := time.Now().Add(sentinelPatience); time.Now().Before(deadline); {
		if now, err := s.primaryRedis(ctx); err == nil && now != old {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("nobody replaces the primary")
}

// killPrimary kills the primary; its process comes back as a replica of the new one.
func killPrimary(ctx context.Context, s *stage, _ *rand.Rand) error {
	s.redisLock.Lock()
	defer s.redisLock.Unlock()
	old, err := s.primaryRedis(ctx)
	if err != nil {
		return err
	}
	old.Kill()
	if err := s.replaced(ctx, old); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	if err := old.Start(ctx); err != nil {
		return err
	}
	return s.agreed(ctx)
}

// agreed waits until the next failover could be.
func (s *stage) agreed(ctx context.Context) error {
	if s.engine == cluster {
		return s.clusterAgrees(ctx)
	}
	return s.sentinelsAgree(ctx)
}

// pausePrimary pauses the primary until it has been replaced and for some seconds more; then it returns, and believes to be the
// primary still until it is told.
func pausePrimary(ctx context.Context, s *stage, _ *rand.Rand) error {
	s.redisLock.Lock()
	defer s.redisLock.Unlock()
	old, err := s.primaryRedis(ctx)
	if err != nil {
		return err
	}
	old.Pause()
	err = errors.Join(s.replaced(ctx, old), sleep(ctx, s.pace.redisPause))
	old.Resume()
	if err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.agreed(ctx)
}
