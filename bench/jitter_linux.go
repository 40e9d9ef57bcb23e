package main

import (
	"context"
	"errors"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/publish"
)

// jitter is the profile of anycable/nodejs-websocket-bench, for which there are public figures of other servers: a slow stream to very
// many clients on bad lines. Latency goes from the publisher's stamp to the arrival, the time that a client was offline included.
type jitter struct {
	clients  int
	most     int // in one driver: one that is busy shows its own latency
	messages int
	rate     int // messages a second
	life     drive.Life
}

// What the profile says. Its clients have driver processes of a few hundred connections in Node; an epoll loop holds more.
var (
	fullJitter = jitter{clients: 10_000, most: mostCautious, messages: 120, rate: 2,
		life: drive.Life{CutEvery: 15 * time.Second, Offline: 2 * time.Second, Seed: 1}}
	quickJitter = jitter{clients: 1000, most: 500, messages: 40, rate: 4,
		life: drive.Life{CutEvery: 5 * time.Second, Offline: time.Second, Seed: 1}}
)

func (j jitter) run(ctx context.Context, st *stage) (err error) {
	st.loads("%d clients of kentongan.v1 follow one channel, %d messages at %d/s, lines cut every %v for %v", j.clients, j.messages, j.rate,
		j.life.CutEvery, j.life.Offline)
	r, err := st.start(ctx)
	if err != nil {
		return err
	}
	p, err := plan(drive.V1, 0, 1, j.clients, r)
	if err != nil {
		return err
	}
	p.Most, p.Life = j.most, j.life
	fleet, err := st.open(p)
	if err != nil {
		return err
	}
	door, err := r.door()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, door.Close()) }()
	publisher, err := publish.New(door, publish.Load{Tenants: 1, Rate: j.rate, Bytes: messageBytes}, now)
	if err != nil {
		return err
	}
	if err := errors.Join(fleet.Reset(), fleet.Live()); err != nil {
		return err
	}
	if _, err := publisher.Run(ctx, time.Duration(j.messages)*time.Second/time.Duration(j.rate)); err != nil {
		return err
	}
	expected := j.messages * j.clients
	counts, err := st.patient(ctx, fleet, expected, 3*j.life.Offline)
	if err != nil {
		return err
	}
	latencies, err := fleet.Latency()
	if err != nil {
		return err
	}
	const slowest = 3000 // ms; Socket.IO with recovery has 4,580, AnyCable 6,140 in their own figures, on a larger machine
	st.delivered(counts, expected)
	st.report.spans("delivery", latencies, atMost(slowest))
	st.report.add("lines cut", float64(counts.Cuts), "")
	st.report.add("reconnects", float64(counts.Returned), "")
	st.report.add("reconnects refused", float64(counts.Failures), "")
	st.report.add("lines ended by the server", float64(counts.Closed), "", atMost(0))
	return nil
}

// messageBytes is the length of the messages of all trials, unless one is about length.
const messageBytes = 300
