package publish_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/chaos/check"
	"kentongan/chaos/payload"
	"kentongan/chaos/publish"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// script is a door that answers as it is told to, call by call; afterwards everything is stored.
type script struct {
	repeats bool
	calls   [][]string      // keys
	answers []check.Outcome // of the first item of each call, while there are any
	nobody  int             // calls that find nobody to connect to
	closed  bool
}

func (s *script) Publish(_ context.Context, items []publish.Item) ([]publish.Result, bool) {
	if s.nobody > 0 {
		s.nobody--
		return make([]publish.Result, len(items)), false
	}
	var keys []string
	results := make([]publish.Result, len(items))
	for i, it := range items {
		keys = append(keys, it.Key[strings.IndexByte(it.Key, '-')+1:])
		results[i].Outcome = check.Acked
	}
	if n := len(s.calls); n < len(s.answers) {
		results[0].Outcome = s.answers[n]
	}
	s.calls = append(s.calls, keys)
	return results, true
}

func (s *script) Repeats() bool { return s.repeats }
func (s *script) Close()        { s.closed = true }

// publishFor runs a publisher of pairs for three seconds, on a clock that knows no delay.
func publishFor(t *testing.T, door *script) check.Publisher {
	t.Helper()
	var h check.Publisher
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := publish.New(publish.Options{
			Name: "p", Index: 7, World: &check.World{Channels: []check.Channel{{Name: "c"}}}, Ordered: true, Door: door, Batch: 2,
			Every: time.Second, Key: payload.Key{1}, Clock: func() time.Duration { return time.Since(began) },
		})
		stop := make(chan struct{})
		var work sync.WaitGroup
		work.Go(func() { p.Run(t.Context(), stop) })
		time.Sleep(3 * time.Second)
		close(stop)
		work.Wait()
		h = p.History()
	})
	if !door.closed {
		t.Error("the door stays open")
	}
	return h
}

func TestPublisherRepeatsOnlyWhatIsOpen(t *testing.T) {
	door := &script{repeats: true, nobody: 2, answers: []check.Outcome{check.Unknown, check.Unknown, check.Acked}}
	h := publishFor(t, door)
	if got := fmt.Sprint(door.calls[:4]); got != "[[7-1 7-2] [7-1] [7-1] [7-3 7-4]]" {
		t.Fatalf("calls %s", got)
	}
	for i, p := range h.Publications {
		attempts := 1
		if i == 0 {
			attempts = 3
		}
		if p.Outcome != check.Acked || p.Attempts != attempts || p.End < p.Begin {
			t.Errorf("publication %d: %+v", i+1, p)
		}
	}
}

func TestPublisherLeavesAlone(t *testing.T) {
	door := &script{answers: []check.Outcome{check.Unknown, check.Refused}}
	h := publishFor(t, door)
	if len(h.Publications) < 4 || len(door.calls) != len(h.Publications)/2 {
		t.Fatalf("%d calls for %d publications", len(door.calls), len(h.Publications))
	}
	if a, b := h.Publications[0].Outcome, h.Publications[2].Outcome; a != check.Unknown || b != check.Refused {
		t.Fatalf("got %d and %d, want unknown and refused", a, b)
	}
}

// TestPublisherGivesUpAfterTheEnd: a gateway that never comes back does not keep a run from ending.
func TestPublisherGivesUpAfterTheEnd(t *testing.T) {
	h := publishFor(t, &script{repeats: true, nobody: 1 << 30})
	if len(h.Publications) != 2 || h.Publications[0].Outcome != check.Unknown || h.Publications[0].Attempts != 0 {
		t.Fatalf("got %+v, want one pair that was never tried", h.Publications)
	}
}

var items = []publish.Item{{Channel: "c", Data: []byte(`{"n":1}`), Key: "k1"}, {Channel: "c", Data: []byte(`{"n":2}`), Key: "k2"}}

func TestHTTPReadsAnswers(t *testing.T) {
	at := func(n uint64) publish.Result {
		return publish.Result{Outcome: check.Acked, At: check.Position{Epoch: "e", Offset: n}}
	}
	unknown, refused := publish.Result{}, publish.Result{Outcome: check.Refused}
	for _, test := range []struct {
		status int
		answer string
		items  int
		want   []publish.Result
	}{
		{200, `{"epoch":"e","offset":3}`, 1, []publish.Result{at(3)}},
		{200, `[{"epoch":"e","offset":3},{"epoch":"e","offset":4,"duplicate":true}]`, 2, []publish.Result{at(3), at(4)}},
		{207, `[{"epoch":"e","offset":3},{"error":{"code":"UNAVAILABLE"}}]`, 2, []publish.Result{at(3), unknown}},
		{207, `[{"error":{"code":"NO_SUCH_CHANNEL"}},{"epoch":"e","offset":3}]`, 2, []publish.Result{refused, at(3)}},
		{503, `{"success":false,"error":{"code":"UNAVAILABLE"}}`, 1, []publish.Result{unknown}},
		{429, `{"success":false,"error":{"code":"TOO_MANY"}}`, 2, []publish.Result{unknown, unknown}},
		{422, `{"success":false,"error":{"code":"INVALID_DATA"}}`, 1, []publish.Result{refused}},
		{200, `{"epoch":`, 1, []publish.Result{unknown}},
		{200, `[{"epoch":"e","offset":3}]`, 2, []publish.Result{unknown, unknown}},
		{502, `<html>`, 2, []publish.Result{unknown, unknown}},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if !json.Valid(body) || r.Header.Get("Authorization") != "Bearer key" || (body[0] == '[') != (test.items > 1) {
				t.Errorf("request %s with %v", body, r.Header)
			}
			w.WriteHeader(test.status)
			_, _ = w.Write([]byte(test.answer))
		}))
		door := publish.HTTP(func() []string { return []string{strings.TrimPrefix(server.URL, "http://")} }, "key", 0, nil)
		got, tried := door.Publish(t.Context(), items[:test.items])
		if fmt.Sprint(got) != fmt.Sprint(test.want) || !tried {
			t.Errorf("%d %s: got %v, want %v", test.status, test.answer, got, test.want)
		}
		door.Close()
		server.Close()
	}
}

// server answers each command of a Redis client with the next of answers, and then ends.
func server(t *testing.T, answers ...string) (address string, commands func() []string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		r := bufio.NewReader(conn)
		for _, a := range answers {
			var n int
			if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
				return
			}
			var args []string
			for range n {
				_, _ = r.ReadString('\n')
				arg, _ := r.ReadString('\n')
				args = append(args, strings.TrimSpace(arg))
			}
			got = append(got, strings.Join(args, " "))
			_, _ = conn.Write([]byte(a))
		}
	}()
	return l.Addr().String(), func() []string {
		_ = l.Close()
		<-done
		return got
	}
}

func TestRedisDoorsReadAnswers(t *testing.T) {
	at := func(address string) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return address, nil }
	}
	plain := func(a string) publish.Door { return publish.Plain(at(a)) }
	stream := func(a string) publish.Door { return publish.Stream("kentongan:publish", at(a)) }
	own := func(a string) publish.Door { return publish.Redis(func() []string { return []string{a} }, "key", 0) }
	for _, test := range []struct {
		name    string
		door    func(address string) publish.Door
		answers []string
		want    check.Outcome
		command string
	}{
		{"PlainSent", plain, []string{"+PONG\r\n", ":0\r\n"}, check.Sent, `PUBLISH c {"n":1}`},
		{"PlainRefused", plain, []string{"+PONG\r\n", "-LOADING later\r\n"}, check.Refused, `PUBLISH c {"n":1}`},
		{"PlainLost", plain, []string{"+PONG\r\n", ""}, check.Unknown, `PUBLISH c {"n":1}`},
		{"Stored", own, []string{"+OK\r\n", ":3\r\n"}, check.Acked, `PUBLISH c {"n":1}`},
		{"NotStored", own, []string{"+OK\r\n", "-ERR not ready: too much at once; it was not stored, send it again\r\n"}, check.Refused, `PUBLISH c {"n":1}`},
		{"PerhapsStored", own, []string{"+OK\r\n", "-ERR not ready: the engine cannot be reached; it may or may not have been stored\r\n"}, check.Unknown, `PUBLISH c {"n":1}`},
		{"Appended", stream, []string{"+PONG\r\n", "$3\r\n1-0\r\n"}, check.Acked, `XADD kentongan:publish * channel c data {"n":1} id k1`},
		{"NotAppended", stream, []string{"+PONG\r\n", "-READONLY\r\n"}, check.Unknown, `XADD kentongan:publish * channel c data {"n":1} id k1`},
	} {
		t.Run(test.name, func(t *testing.T) {
			address, commands := server(t, test.answers...)
			door := test.door(address)
			got, tried := door.Publish(t.Context(), items[:1])
			door.Close()
			all := commands()
			if !tried || got[0].Outcome != test.want || all[len(all)-1] != test.command {
				t.Fatalf("got %v after %q, tried %v; want %d", got, all, tried, test.want)
			}
		})
	}
	t.Run("Nobody", func(t *testing.T) {
		address, commands := server(t)
		commands() // and nobody listens any more
		door := plain(address)
		if _, tried := door.Publish(t.Context(), items[:1]); tried {
			t.Fatal("an attempt is told of that was not made")
		}
	})
	t.Run("WrongKey", func(t *testing.T) {
		address, commands := server(t, "-WRONGPASS no\r\n")
		door := own(address)
		if _, tried := door.Publish(t.Context(), items[:1]); tried {
			t.Fatal("an attempt is told of that was not made")
		}
		commands()
	})
}

func TestAsk(t *testing.T) {
	for answer, want := range map[string]string{
		"+OK\r\n": "+OK", ":3\r\n": ":3", "$-1\r\n": "$", "$5\r\na\r\nbc\r\n": "$a\r\nbc", "*2\r\n$1\r\na\r\n$2\r\nbb\r\n": "*a\nbb\n", "*0\r\n": "*",
	} {
		got, err := publish.Ask(io.Discard, bufio.NewReader(strings.NewReader(answer)), "X")
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v; want %q", answer, got, err, want)
		}
	}
	for _, bad := range []string{"", "\r\n", "$x\r\n", "$9\r\nab", "*1\r\n", "$99999999\r\n"} {
		if got, err := publish.Ask(io.Discard, bufio.NewReader(strings.NewReader(bad)), "X"); err == nil {
			t.Errorf("%q: got %q, want an error", bad, got)
		}
	}
}

// TestEndWhileAsking ends a run while Redis is silent.
func TestEndWhileAsking(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range 50 {
		door := publish.Plain(func(context.Context) (string, error) { return l.Addr().String(), nil })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, tried := door.Publish(ctx, items[:1]); tried {
				t.Error("an attempt is told of that was not made")
			}
			door.Close()
		}()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		cancel()
		<-done
		_ = conn.Close()
	}
}
