package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kentongan/bench/drive"
	"kentongan/bench/latency"
	"kentongan/bench/mark"
	"kentongan/bench/publish"
	"kentongan/internal/process"
)

// replay has very many clients of one channel ask for all of a long history at once.
type replay struct {
	clients  int
	messages int
	rate     int // at which the history is published
	beside   beside
}

var (
	fullReplay = replay{clients: 1000, messages: 10_000, rate: 5000,
		beside: beside{kitchens: 40, each: 5, rate: 100, window: 5 * time.Second}}
	quickReplay = replay{clients: 200, messages: 2000, rate: 5000,
		beside: beside{kitchens: 40, each: 5, rate: 100, window: 2 * time.Second}}
)

func (p replay) run(ctx context.Context, st *stage) (err error) {
	st.loads("%d clients of kentongan.v1 ask at once for the same %d messages; %d neighbours, %d messages/s", p.clients, p.messages,
		p.beside.kitchens*p.beside.each, p.beside.rate)
	r, err := st.start(ctx, "KENTONGAN_HISTORY_SIZE="+strconv.Itoa(p.messages))
	if err != nil {
		return err
	}
	near, err := st.neighbours(ctx, r, p.beside)
	defer func() { err = errors.Join(err, near.close()) }()
	if err != nil {
		return err
	}
	if err := st.store(ctx, r, publish.Load{Tenants: 1, Rate: p.rate, Bytes: messageBytes}, p.messages); err != nil {
		return err
	}
	epoch, err := r.epoch(ctx, publish.Channel(0))
	if err != nil {
		return err
	}
	quiet, err := near.quietly(ctx, p.beside.window)
	if err != nil {
		return err
	}
	clients, err := plan(drive.V1, 0, 1, p.clients, r)
	if err != nil {
		return err
	}
	clients.Window, clients.Behind = p.clients, true
	for i := range clients.Screens {
		clients.Screens[i].Epoch = epoch
	}
	fleet := st.fleet()
	peak, err := watchMemory(r.child.PID())
	if err != nil {
		return err
	}
	expected, begun := p.messages*p.clients, mark.Now()
	var counts drive.Counts
	loud, err := near.during(ctx, func(ctx context.Context) error {
		_, err := fleet.Open(clients)
		if err == nil {
			counts, err = st.await(ctx, fleet, expected)
		}
		return err
	})
	grown, memoryErr := peak()
	if err := errors.Join(err, memoryErr); err != nil {
		return err
	}
	took := time.Duration(counts.LastNs - begun)
	st.delivered(counts, expected)
	st.report.add("all have everything after", took.Seconds(), "s")
	st.report.add("messages replayed", over(float64(counts.Delivered), took.Seconds()), "/s")
	const mega = 1e6
	st.report.add("bytes replayed", over(float64(counts.Bytes), took.Seconds())/mega, "MB/s")
	st.report.add("server's RSS grew by at most", float64(grown)/(1<<20), "MiB")
	st.compared("", comparison{[]*latency.Histogram{quiet}, []*latency.Histogram{loud}}, limit{}, limit{})
	return nil
}

// epoch asks the server for the epoch of a channel.
func (r *running) epoch(ctx context.Context, channel string) (string, error) {
	where := "http://" + r.address + "/api/history?limit=1&channel=" + url.QueryEscape(channel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, http.NoBody)
	if err != nil {
		return "", fmt.Errorf("ask for the epoch: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	resp, err := client.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for the epoch: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Epoch string }
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("ask for the epoch: %s", resp.Status)
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.Epoch == "" {
		return "", fmt.Errorf("ask for the epoch: it is %q, %w", answer.Epoch, err)
	}
	return answer.Epoch, nil
}

// watchMemory looks at a process's memory now and then. The function that it returns ends that, and tells by how much the RSS has grown
// at most.
func watchMemory(pid int) (func() (int64, error), error) {
	before, err := process.MemoryOf(pid)
	if err != nil {
		return nil, err
	}
	end, done := make(chan struct{}), make(chan error, 1)
	highest := before.RSS
	go func() {
		const often = 100 * time.Millisecond
		for {
			held, err := process.MemoryOf(pid)
			if err != nil {
				done <- err
				return
			}
			highest = max(highest, held.RSS)
			select {
			case <-end:
				done <- nil
				return
			case <-time.After(often):
			}
		}
	}()
	return func() (int64, error) {
		close(end)
		err := <-done
		return highest - before.RSS, err
	}, nil
}
