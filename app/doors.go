package app

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"kentongan/internal/answer"
	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/intake"
	"kentongan/tenant"
)

// newStream makes the door for what the app appends to the durable stream. It is on wherever there is a Redis: it costs one
// connection that waits, and an app that appends where nobody reads would lose what it believes to be safe.
func (a *App) newStream() *intake.Stream {
	publisher, _ := a.publishers("stream")
	return intake.NewStream(a.engine.stream, intake.StreamOptions{
		Names: a.names, Publisher: publisher, Quarantine: a.engine.quarantine, MaxBytes: a.cfg.Limits.PublishBytes,
		Adopt: a.adopt(), Log: a.log,
	})
}

// newRESP makes the door that speaks the Redis protocol.
func (a *App) newRESP() *intake.RESP {
	pass := intake.RESPPass{Keys: a.cfg.Server.DoorPass, Commands: a.cfg.Server.DoorCommands}
	if a.engine.passage != nil {
		pass.Redis = a.engine.passage
	}
	_, publisher := a.publishers("redis")
	return intake.NewRESP(intake.RESPOptions{
		Keys: a.auth, Names: a.names, Publisher: publisher, Listeners: doorListeners{a.hub}, Pass: pass, Rates: a.rates,
		MaxBytes: a.cfg.Limits.PublishBytes, MaxBacklog: a.cfg.Limits.BacklogBytes, Log: a.log,
	})
}

// listenDoor listens for the Redis door. The keep-alives of TCP find dead subscribers, which may be silent for ever.
func listenDoor(ctx context.Context, address string) (net.Listener, error) {
	lc := net.ListenConfig{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 10 * time.Second, Count: 3}}
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	return l, nil
}

// startDoors runs the doors other than HTTP; redisDoor is nil if that one is off.
func (a *App) startDoors(ctx context.Context, g *errgroup.Group, redisDoor net.Listener) {
	var open sync.WaitGroup
	run := func(door func() error) {
		open.Add(1)
		g.Go(func() error {
			defer open.Done()
			return door()
		})
	}
	if a.pubsub != nil {
		asideCtx, stopAside := context.WithCancel(context.WithoutCancel(ctx)) // it ends after what it is given last
		run(func() error { return a.aside.Run(asideCtx) })
		run(func() error {
			defer stopAside()
			return a.pubsub.Run(ctx)
		})
		run(func() error {
			defer a.engine.stream.Close()
			return a.stream.Run(ctx)
		})
	}
	if redisDoor != nil {
		run(func() error {
			if a.engine.passage != nil {
				defer a.engine.passage.Close()
			}
			return a.resp.Serve(ctx, redisDoor)
		})
	}
	g.Go(func() error {
		defer close(a.doorsClosed)
		open.Wait()
		return nil
	})
}

// collectDoors tells of the Redis door and the durable stream.
func (m *metrics) collectDoors(counter counterFunc, gauge gaugeFunc) {
	if m.app.stream != nil {
		st := m.app.stream.Stats()
		counter(descIntake, st.Stamped, "stream", "stamped")
		counter(descIntake, st.Poisoned, "stream", "poisoned")
		counter(descIntake, st.Mismatched, "stream", "mismatched")
		counter(descClaimed, st.Claimed)
	}
	if m.app.resp != nil {
		st := m.app.resp.Stats()
		counter(descIntake, st.Stamped, "redis", "stamped")
		counter(descIntake, st.Refused, "redis", "refused")
		counter(descIntake, st.Limited, "redis", "limited")
		counter(descIntake, st.Failed, "redis", "failed")
		gauge(descDoor, float64(st.Connections))
		counter(descDoorDenied, st.Denied)
		counter(descDoorOut, st.Delivered)
		counter(descDoorSlow, st.Slow)
		counter(descDoorPassed, st.Passed, "answered")
		counter(descDoorPassed, st.NotPassed, "refused")
		counter(descDoorPassed, st.PassFailed, "failed")
	}
}

// poisonEntry is one entry of the durable stream that was set aside. Its data is left out: it is in Redis, under kept.
type poisonEntry struct {
	Kept    string `json:"kept"` // id in kentongan:publish:poison
	Entry   string `json:"entry"`
	Reason  string `json:"reason"`
	Channel string `json:"channel"`
	ID      string `json:"id,omitempty"`
	Bytes   int    `json:"bytes"`
}

// servePoison lists the entries that were set aside, the newest first.
func (a *App) servePoison(w http.ResponseWriter, r *http.Request) {
	limit := 100
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			answer.Error(w, http.StatusBadRequest, "BAD_REQUEST", "limit must be a whole number from 1 to 10000")
			return
		}
		limit = n
	}
	out := struct {
		Total   uint64        `json:"total"` // by this node since its start
		Entries []poisonEntry `json:"entries"`
	}{Entries: []poisonEntry{}}
	if a.stream != nil {
		out.Total = a.stream.Stats().Poisoned
		err := a.engine.stream.Poisoned(r.Context(), limit, func(id string, fields []string) {
			value := map[string]string{}
			for i := 0; i+1 < len(fields); i += 2 {
				value[fields[i]] = fields[i+1]
			}
			size, _ := strconv.Atoi(value["bytes"]) // 0 for what somebody else put there
			out.Entries = append(out.Entries, poisonEntry{id, value["entry"], value["reason"], value["channel"], value["id"], size})
		})
		if err != nil {
			answer.Error(w, http.StatusServiceUnavailable, "UNAVAILABLE", err.Error())
			return
		}
	}
	answer.JSON(w, http.StatusOK, out)
}

// doorListeners lets clients of the Redis door follow channels through the hub, which the doors do not know.
type doorListeners struct{ hub *hub.Hub }

// Listen implements intake.Listeners.
func (d doorListeners) Listen(
	ctx context.Context, ch realtime.Channel, home tenant.ID, hear func(wire string, p *realtime.Publication),
) (intake.Listening, error) {
	sub, err := d.hub.Subscribe(ctx, doorSession{hear}, ch, home)
	if err != nil {
		return nil, err //nolint:wrapcheck // the door says what it was doing
	}
	return doorListening{d.hub, sub}, nil
}

// Followers implements intake.Listeners.
func (d doorListeners) Followers(ch realtime.Channel) int { return d.hub.Followers(ch) }

// doorSession is one listener as the hub sees it.
type doorSession struct {
	hear func(wire string, p *realtime.Publication)
}

// Offer implements hub.Subscriber.
func (s doorSession) Offer(m *hub.Message) { s.hear(m.Wire(), m.Publication) }

// OfferBatch implements hub.Subscriber.
func (s doorSession) OfferBatch(b *hub.Batch) {
	for _, m := range b.Messages {
		s.Offer(m)
	}
}

// Near implements hub.Subscriber.
func (doorSession) Near() uint64 { return 0 }

// OfferGap implements hub.Subscriber. Pub/Sub of Redis has no word for a gap, and promises nothing that it would break.
func (doorSession) OfferGap(string, realtime.Gap) {}

// doorListening is one subscription in the hub.
type doorListening struct {
	hub *hub.Hub
	sub *hub.Subscription
}

// Start implements intake.Listening.
func (l doorListening) Start(first func()) {
	l.hub.GoLive(l.sub, func(hub.Heads) bool { first(); return true })
}

// Stop implements intake.Listening.
func (l doorListening) Stop() { l.hub.Unsubscribe(l.sub) }
