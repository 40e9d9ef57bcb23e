// Command soak keeps a server busy for some minutes and checks that it takes no more and more: its memory stays flat while the same load
// goes on, and its goroutines and descriptors are what they were when all clients have left.
//
//	go run ./bench/soak -minutes 10
//
// The load is 240 screens in three dialects, of which 40 come and go all the time, 200 publications a second to 20 kitchens, refused
// credentials, and history that is read. Everything is on the loopback.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"kentongan/auth"
)

const (
	secret = "a-session-secret-for-the-soak-only"
	apiKey = "an-api-key-for-the-soak-only" //nolint:gosec // of a server that lives for this run on loopback

	kitchens = 20
	stay     = 200 // screens that stay
	churn    = 40  // screens that come and go
	rate     = 200 // publications a second

	// What may remain. Go's collector lets the heap swing between its collections, so that what is alive after one is compared.
	growthPart = 0.05
	growthMiB  = 4
	leftOver   = 8 // goroutines, descriptors: of the last requests for metrics
)

func main() {
	minutes := flag.Float64("minutes", 10, "how long the load lasts")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, time.Duration(*minutes*float64(time.Minute))); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1) //nolint:gocritic // the signal handler ends with the process
	}
}

func run(ctx context.Context, length time.Duration) (err error) {
	s, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := s.settle(ctx, 5*time.Second); err != nil {
		return err
	}
	before, err := s.measure(ctx)
	if err != nil {
		return err
	}
	report("before", before)
	samples, err := s.load(ctx, length)
	if err != nil {
		return err
	}
	if err := s.settle(ctx, 20*time.Second); err != nil { // sessions end, idle connections are closed
		return err
	}
	after, err := s.measure(ctx)
	if err != nil {
		return err
	}
	report("after", after)
	return verdict(before, after, samples)
}

// server is the built binary with the memory engine.
type server struct {
	public, admin string
	command       *exec.Cmd
	dir           string
	sent, heard   atomic.Int64
}

func start(ctx context.Context) (*server, error) {
	dir, err := os.MkdirTemp("", "kentongan-soak-")
	if err != nil {
		return nil, err //nolint:wrapcheck // it says all
	}
	s := &server{dir: dir, public: "127.0.0.1:13901", admin: "127.0.0.1:13902"}
	binary := filepath.Join(dir, "kentongan")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/kentongan") //nolint:gosec // ours
	if text, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, text)
	}
	s.command = exec.Command(binary, "serve") //nolint:gosec,noctx // ours; stop ends it in order
	s.command.Dir, s.command.Stderr = dir, os.Stderr
	s.command.Env = append(os.Environ(), // PATH and HOME
		"KENTONGAN_LISTEN="+s.public, "KENTONGAN_ADMIN_LISTEN="+s.admin, "AUTH_SECRET="+secret, "KENTONGAN_API_KEYS=app:"+apiKey,
		"KENTONGAN_LOG_LEVEL=warn", "KENTONGAN_DRAIN_TIME=2s", "KENTONGAN_HISTORY_SIZE=100", "KENTONGAN_IDLE_TIMEOUT=5s")
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	for range 100 {
		if _, err := s.get(ctx, "http://"+s.public+"/readyz", nil); err == nil {
			return s, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return nil, errors.Join(errors.New("the server does not answer"), s.stop())
}

func (s *server) stop() error {
	_ = s.command.Process.Signal(os.Interrupt) // what has ended already is waited for all the same
	err := s.command.Wait()
	return errors.Join(err, os.RemoveAll(s.dir))
}

// settle waits, so that what is ending has ended.
func (s *server) settle(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // interrupted
	case <-time.After(d):
		return nil
	}
}

// client keeps no connections: those would count as the server's.
var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (s *server) get(ctx context.Context, address string, header http.Header) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err //nolint:wrapcheck // it says all
	}
	if header != nil {
		req.Header = header
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err //nolint:wrapcheck // as above
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return string(text), err //nolint:wrapcheck // as above
}

// sample is what a server takes at one moment.
type sample struct{ aliveMiB, residentMiB, goroutines, descriptors float64 }

// measure has the server collect its garbage first, by asking for a profile of what is alive.
func (s *server) measure(ctx context.Context) (sample, error) {
	if _, err := s.get(ctx, "http://"+s.admin+"/debug/pprof/heap?gc=1", nil); err != nil {
		return sample{}, fmt.Errorf("collect garbage: %w", err)
	}
	text, err := s.get(ctx, "http://"+s.admin+"/metrics", nil)
	if err != nil {
		return sample{}, fmt.Errorf("metrics: %w", err)
	}
	found := map[string]float64{}
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if v, err := strconv.ParseFloat(value, 64); err == nil {
			found[name] = v
		}
	}
	if found["go_goroutines"] == 0 || found["process_open_fds"] == 0 {
		return sample{}, errors.New("metrics: no goroutines, or no descriptors")
	}
	const mib = 1 << 20
	return sample{
		found["go_memstats_heap_alloc_bytes"] / mib, found["process_resident_memory_bytes"] / mib,
		found["go_goroutines"], found["process_open_fds"],
	}, nil
}

func report(when string, s sample) {
	_, _ = fmt.Fprintf(os.Stdout, "%-8s alive %6.1f MiB, resident %6.1f MiB, goroutines %4.0f, descriptors %4.0f\n",
		when, s.aliveMiB, s.residentMiB, s.goroutines, s.descriptors)
}

// load runs everything for as long, and returns a sample every fiftieth of it.
func (s *server) load(ctx context.Context, length time.Duration) (samples []sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var all sync.WaitGroup
	for n := range stay + churn {
		all.Go(func() { s.screen(ctx, n, n >= stay) })
	}
	all.Go(func() { s.publish(ctx) })
	all.Go(func() { s.others(ctx) })
	begin := time.Now()
	tick := time.NewTicker(max(length/50, time.Second))
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			one, err := s.measure(ctx)
			if err != nil {
				if ctx.Err() != nil {
					break
				}
				cancel()
				all.Wait()
				return nil, err
			}
			samples = append(samples, one)
			report(time.Since(begin).Round(time.Second).String(), one)
		}
	}
	all.Wait()
	if sent, heard := s.sent.Load(), s.heard.Load(); sent < 10 || heard < sent {
		return nil, fmt.Errorf("%d publications were sent and %d heard: there was no load", sent, heard)
	}
	_, _ = fmt.Fprintf(os.Stdout, "%d publications, %d heard by screens\n", s.sent.Load(), s.heard.Load())
	return samples, nil
}

func cookie(n int) http.Header {
	claims := map[string]any{"sub": fmt.Sprint("user-", n), "sppgId": kitchen(n), "userRole": "SPPG_KEPALA"}
	token, err := auth.MintSession(secret, auth.SessionCookie, claims, 24*time.Hour)
	if err != nil {
		panic("soak: " + err.Error()) // the claims are ours
	}
	return http.Header{"Cookie": {auth.SessionCookie + "=" + token}, "Origin": {"http://127.0.0.1:13901"}}
}

func kitchen(n int) string { return fmt.Sprint("sppg_", n%kitchens) }

// screen follows its kitchen in the dialect of its number, and comes back when it was cut off; one that comes and goes stays for some
// seconds. It keeps its cookies as a browser does: without them it would be a new device on each visit, and those are remembered for days.
func (s *server) screen(ctx context.Context, n int, goes bool) {
	header := cookie(n)
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic("soak: " + err.Error()) // without options there is nothing to be wrong
	}
	browser := &http.Client{Transport: client.Transport, Jar: jar}
	for ctx.Err() == nil {
		visit, cancel := context.WithCancel(ctx)
		if goes {
			time.AfterFunc(time.Duration(1+n%5)*time.Second, cancel)
		}
		if n%3 == 2 {
			s.stream(visit, browser, header)
		} else {
			s.socket(visit, browser, n, header)
		}
		cancel()
		if !goes {
			_ = s.settle(ctx, 100*time.Millisecond)
		}
	}
}

func (s *server) socket(ctx context.Context, browser *http.Client, n int, header http.Header) {
	address, opts := "ws://"+s.public+"/api/ws", &websocket.DialOptions{HTTPClient: browser, HTTPHeader: header}
	if n%3 == 1 {
		opts.Subprotocols = []string{"kentongan.v1"}
		address += "?channels=production:updates:" + kitchen(n)
	}
	conn, resp, err := websocket.Dial(ctx, address, opts)
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			return
		}
		s.heard.Add(1)
	}
}

func (s *server) stream(ctx context.Context, browser *http.Client, header http.Header) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.public+"/api/sse", http.NoBody)
	if err != nil {
		return
	}
	req.Header = header.Clone() // the browser's cookies are added to it
	resp, err := browser.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if strings.HasPrefix(lines.Text(), "data: ") {
			s.heard.Add(1)
		}
	}
}

// publish sends ten publications at a time.
func (s *server) publish(ctx context.Context) {
	const batch = 10
	filler := strings.Repeat("x", 250)
	tick := time.NewTicker(time.Second * batch / rate)
	defer tick.Stop()
	for n := 0; ; n += batch {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var body strings.Builder
		for k := range batch {
			_, _ = fmt.Fprintf(&body, `,{"channel":"production:updates:%s","data":{"n":%d,"text":%q}}`, kitchen(n/batch+k), n+k, filler)
		}
		list := strings.NewReader("[" + body.String()[1:] + "]")
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.public+"/api/publish", list)
		if err != nil {
			return
		}
		req.Header = http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
		resp, err := client.Do(req)
		if err != nil {
			continue
		}
		if resp.StatusCode == http.StatusOK {
			s.sent.Add(batch)
		}
		_ = resp.Body.Close()
	}
}

// others knock in vain, and read history.
func (s *server) others(ctx context.Context) {
	header := cookie(0)
	for n := 0; ctx.Err() == nil; n++ {
		_ = s.settle(ctx, 50*time.Millisecond)
		_, _ = s.get(ctx, "http://"+s.public+"/api/history?channel=production:updates:"+kitchen(0), header.Clone())
		_, _ = s.get(ctx, "http://"+s.public+"/api/ws", http.Header{"Authorization": {"Bearer wrong-key-number-" + strconv.Itoa(n)}})
	}
}

// verdict compares the end with the beginning, once everything that grows by design (history, pools) has grown.
func verdict(before, after sample, samples []sample) error {
	if len(samples) < 10 {
		return fmt.Errorf("only %d samples: let it run for longer", len(samples))
	}
	fifth := len(samples) / 5
	early, late := median(samples[fifth:2*fifth]), median(samples[len(samples)-fifth:])
	var errs []error
	if late > early*(1+growthPart)+growthMiB {
		errs = append(errs, fmt.Errorf("memory grows: %.1f MiB were alive in the second fifth, %.1f in the last", early, late))
	}
	if after.goroutines > before.goroutines+leftOver {
		errs = append(errs, fmt.Errorf("goroutines are left: %.0f before, %.0f after", before.goroutines, after.goroutines))
	}
	if after.descriptors > before.descriptors+leftOver {
		errs = append(errs, fmt.Errorf("descriptors are left: %.0f before, %.0f after", before.descriptors, after.descriptors))
	}
	if len(errs) == 0 {
		_, _ = fmt.Fprintf(os.Stdout, "flat: %.1f MiB alive in the second fifth, %.1f in the last\n", early, late)
	}
	return errors.Join(errs...)
}

// median is of what was alive.
func median(samples []sample) float64 {
	alive := make([]float64, len(samples))
	for n, s := range samples {
		alive[n] = s.aliveMiB
	}
	slices.Sort(alive)
	return alive[len(alive)/2]
}
