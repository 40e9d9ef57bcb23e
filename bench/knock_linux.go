package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"kentongan/bench/latency"
)

// knockers ask for WebSockets again and again, each on a connection of its own, and leave as soon as they are answered.
type knockers struct {
	address, origin string
	path            string
	cookies         []string      // one knocker each
	pause           time.Duration // between two tries of one; zero: as long as the answer says
}

// knocked is what became of them.
type knocked struct {
	in      int // let in
	full    int // refused as a server that is full should: 503, and when to come back
	other   int // answered in another way, or not at all
	why     string
	refusal *latency.Histogram // from connect to the whole refusal
}

func (k *knocked) add(o *knocked) {
	k.in, k.full, k.other = k.in+o.in, k.full+o.full, k.other+o.other
	k.refusal.Add(o.refusal)
	if k.why == "" {
		k.why = o.why
	}
}

// run lets them knock until ctx ends. The first tries of all come at once.
func (k *knockers) run(ctx context.Context) *knocked {
	all := &knocked{refusal: new(latency.Histogram)}
	var mu sync.Mutex
	var running sync.WaitGroup
	for i := range k.cookies {
		running.Go(func() {
			mine := &knocked{refusal: new(latency.Histogram)}
			for n := 0; ctx.Err() == nil; n++ {
				wait := k.once(ctx, i, mine)
				// They spread by themselves, as clients do: from half to one and a half of it, by their number and how often they came.
				const spread = 1000
				part := (i*7919 + n*104729) % spread
				_ = sleep(ctx, wait/2+wait*time.Duration(part)/spread) // the end of ctx is the end of the loop
			}
			mu.Lock()
			defer mu.Unlock()
			all.add(mine)
		})
	}
	running.Wait()
	return all
}

// once knocks, and returns how long to wait before the next time.
func (k *knockers) once(ctx context.Context, i int, seen *knocked) time.Duration {
	const (
		patience = 10 * time.Second
		trouble  = time.Second
	)
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	resp, body, err := k.ask(limited, k.cookies[i]) //nolint:bodyclose // ask has read and closed it
	switch {
	case ctx.Err() != nil: // it was broken off by us
		return 0
	case err != nil:
		seen.other++
		seen.why = err.Error()
		return trouble
	case resp.StatusCode == http.StatusSwitchingProtocols:
		seen.in++
		return max(k.pause, time.Millisecond)
	}
	after, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if resp.StatusCode != http.StatusServiceUnavailable || err != nil || after < 1 {
		seen.other++
		seen.why = fmt.Sprintf("answered with %s, Retry-After %q: %.200s", resp.Status, resp.Header.Get("Retry-After"), body)
		return trouble
	}
	seen.full++
	seen.refusal.Record(time.Since(began))
	if k.pause > 0 {
		return k.pause
	}
	return time.Duration(after) * time.Second
}

// ask sends one handshake, and returns the whole answer. The connection is closed by then, with a reset, as that of a screen in drive is.
func (k *knockers) ask(ctx context.Context, cookie string) (*http.Response, []byte, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", k.address)
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }() // everything was read
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it ports would run out; if it cannot be, they may
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // wakes a read
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2VudG9uZ2FuLWJlbmNoLg==\r\nOrigin: %s\r\nCookie: %s\r\n\r\n",
		k.path, k.address, k.origin, cookie); err != nil {
		return nil, nil, fmt.Errorf("send handshake: %w", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("read the answer: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // closes nothing
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, nil, nil
	}
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return nil, nil, fmt.Errorf("read the refusal: %w", err)
	}
	return resp, body, nil
}

// knock returns knockers that are people of a kitchen.
func (r *running) knock(tenant, count int, pause time.Duration) (*knockers, error) {
	k := &knockers{address: r.address, origin: r.origin, path: r.path(tenant), cookies: make([]string, count), pause: pause}
	for i := range k.cookies {
		var err error
		if k.cookies[i], err = r.cookie(i, tenant); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// during lets them knock while act runs.
func (k *knockers) during(ctx context.Context, act func(context.Context) error) (*knocked, error) {
	limited, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan *knocked, 1)
	go func() { done <- k.run(limited) }()
	err := act(ctx)
	stop()
	return <-done, err
}
