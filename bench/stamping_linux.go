package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kentongan/bench/mark"
	"kentongan/bench/publish"
	"kentongan/realtime"
	inprocess "kentongan/realtime/memory"
)

// stamping is how many publications one server stamps in a second, if nobody listens. With Redis it is held against what Redis takes of the
// very same calls of the script, sent by a client that does nothing else; the memory engine is held against Redis.
type stamping struct {
	kitchens int
	messages int // in one burst with Redis: below 65,536, of which the server's queue holds as many
	faster   int // the memory engine gets so many times as much, or its burst would be over at once
	rate     int // of the steady stream whose latency is measured
}

var (
	fullStamping  = stamping{kitchens: 2000, messages: 50_000, faster: 10, rate: 4000}
	quickStamping = stamping{kitchens: 500, messages: 20_000, faster: 10, rate: 4000}
)

func (s stamping) run(ctx context.Context, st *stage) error {
	st.loads("bursts of %d PUBLISH of %d bytes to %d kitchens without listeners, %d times as many to the memory engine; "+
		"then %d/s with a listener each", s.messages, messageBytes, s.kitchens, s.faster, s.rate)
	script, err := s.script(ctx, st)
	if err != nil {
		return err
	}
	stamped, err := s.plain(ctx, st)
	if err != nil {
		return err
	}
	door, err := s.door(ctx, st)
	if err != nil {
		return err
	}
	alone, err := s.engine(ctx)
	if err != nil {
		return err
	}
	const twenty = 20
	st.report.add("redis: the script, from a bare client", script, "/s")
	st.report.add("redis: plain PUBLISH, stamped", stamped, "/s")
	st.report.add("redis: stamped over the script", over(stamped, script), "×")
	st.report.add("memory: PUBLISH at the Redis door, stored", door, "/s")
	st.report.add("memory: the engine alone, one goroutine", alone, "/s")
	st.report.add("memory at the door over redis", over(door, stamped), "×")
	st.report.add("memory alone over redis", over(alone, stamped), "×", atLeast(twenty))
	for _, engine := range []string{redis, memory} {
		load := scene{name: "stamping", kind: fanOut, tenants: s.kitchens, each: 1, rate: s.rate, bytes: messageBytes}
		out, err := st.round(ctx, load, engine, st.serve())
		if err != nil {
			return err
		}
		if out.Failed != "" {
			st.fails(engine + ": " + out.Failed)
		}
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		st.report.add(fmt.Sprintf("%s: PUBLISH to socket at %d/s, p50", engine, s.rate), ms(out.P50), "ms")
		st.report.add(fmt.Sprintf("%s: PUBLISH to socket at %d/s, p99", engine, s.rate), ms(out.P99), "ms")
	}
	return nil
}

// plain returns the rate of a burst of plain PUBLISH, until the last of it is stamped.
func (s stamping) plain(ctx context.Context, st *stage) (float64, error) {
	r, err := st.alone(ctx, redis)
	if err != nil {
		return 0, err
	}
	defer st.end(r)
	if err := s.warm(ctx, st, r); err != nil {
		return 0, err
	}
	took, err := s.burst(ctx, st, r)
	return rate(s.messages, took), err
}

// warm makes the server load its script, grow its buffers and know its kitchens.
func (s stamping) warm(ctx context.Context, st *stage, r *running) error {
	return st.store(ctx, r, publish.Load{Tenants: s.kitchens, Rate: s.rate, Bytes: messageBytes}, s.kitchens)
}

// burst publishes all messages at once, and returns how long it took until they were stamped.
func (s stamping) burst(ctx context.Context, st *stage, r *running) (time.Duration, error) {
	before, err := metric(ctx, r.admin, published)
	if err != nil {
		return 0, err
	}
	door, err := r.door()
	if err != nil {
		return 0, err
	}
	if err := s.fill(door, s.messages); err != nil {
		return 0, errors.Join(err, door.Close())
	}
	started := time.Now()
	if err := errors.Join(door.Flush(), door.Close()); err != nil {
		return 0, err
	}
	err = st.stamped(ctx, r, before+float64(s.messages))
	return time.Since(started), err
}

// fill puts messages into a door's batch.
func (s stamping) fill(door publish.Door, messages int) error {
	msg, err := mark.NewMessage(messageBytes)
	if err != nil {
		return err
	}
	for i := range messages {
		tenant := i % s.kitchens
		door.Add(tenant, msg.Stamp(mark.Mark{Tenant: tenant, Seq: i/s.kitchens + 1}))
	}
	return nil
}

// script records the calls that a server makes for a burst, and sends them once more to a Redis that stands where it stood before.
func (s stamping) script(ctx context.Context, st *stage) (float64, error) {
	r, err := st.alone(ctx, redis)
	if err != nil {
		return 0, err
	}
	if err := s.warm(ctx, st, r); err != nil {
		return 0, err
	}
	before, err := publish.Save(ctx, st.redis)
	if err != nil {
		return 0, err
	}
	calls, err := publish.Record(ctx, st.redis, func() error {
		_, err := s.burst(ctx, st, r)
		return err
	})
	if err != nil {
		return 0, err
	}
	st.end(r) // it must not write meanwhile
	if err := before.Restore(ctx, st.redis); err != nil {
		return 0, err
	}
	const appends = "xadd" // what stores a publication
	stored, err := publish.Calls(ctx, st.redis, appends)
	if err != nil {
		return 0, err
	}
	took, err := publish.Replay(st.redis, calls)
	if err != nil {
		return 0, err
	}
	after, err := publish.Calls(ctx, st.redis, appends)
	if err == nil && after-stored != s.messages {
		err = fmt.Errorf("the script has stored %d of %d publications when its calls were repeated", after-stored, s.messages)
	}
	return rate(s.messages, took), err
}

// door returns the rate at which the memory engine acknowledges PUBLISH at its Redis door.
func (s stamping) door(ctx context.Context, st *stage) (float64, error) {
	r, err := st.alone(ctx, memory)
	if err != nil {
		return 0, err
	}
	defer st.end(r)
	if err := s.warm(ctx, st, r); err != nil {
		return 0, err
	}
	door, err := r.door()
	if err != nil {
		return 0, err
	}
	if err := s.fill(door, s.messages*s.faster); err != nil {
		return 0, errors.Join(err, door.Close())
	}
	started := time.Now()
	err = errors.Join(door.Flush(), door.Close())
	return rate(s.messages*s.faster, time.Since(started)), err
}

// engine returns the rate of the memory engine in this process.
func (s stamping) engine(ctx context.Context) (float64, error) {
	broker, err := inprocess.New(inprocess.Options{})
	if err != nil {
		return 0, err
	}
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		return 0, err
	}
	msg, err := mark.NewMessage(messageBytes)
	if err != nil {
		return 0, err
	}
	channels := make([]realtime.Channel, s.kitchens)
	for i := range channels {
		if channels[i], _, err = names.Parse(publish.Channel(i)); err != nil {
			return 0, err
		}
	}
	started := time.Now()
	for i := range s.messages * s.faster {
		data := append([]byte(nil), msg.Stamp(mark.Mark{Seq: i + 1})...) // the broker keeps it
		if _, err := broker.Publish(ctx, channels[i%s.kitchens], data, realtime.PublishOptions{}); err != nil {
			return 0, err
		}
	}
	return rate(s.messages*s.faster, time.Since(started)), nil
}

// rate is how many there were in a second.
func rate(count int, took time.Duration) float64 { return over(float64(count), took.Seconds()) }
