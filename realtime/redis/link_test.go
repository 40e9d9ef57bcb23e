package redis

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/internal/nap"
	"kentongan/realtime"
	"kentongan/tenant"
)

// linkOver is a link that reads from a connection.
func linkOver(conn net.Conn, maxBytes int) *link {
	l := newLink(conn, 3*time.Second, maxBytes)
	l.r = bufio.NewReaderSize(linkReader{l}, 64) // which most events are longer than
	return l
}

// scripted is a connection of which only reading matters; it comes in pieces of a drawn size.
type scripted struct {
	net.Conn
	r     io.Reader
	piece int
}

func (s *scripted) Read(b []byte) (int, error)       { return s.r.Read(b[:min(len(b), s.piece)]) }
func (s *scripted) SetReadDeadline(time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(time.Time) error { return nil }

func array(parts ...string) string {
	out := "*" + strconv.Itoa(len(parts)) + "\r\n"
	for _, p := range parts {
		if strings.HasPrefix(p, ":") {
			out += p + "\r\n"
			continue
		}
		out += "$" + strconv.Itoa(len(p)) + "\r\n" + p + "\r\n"
	}
	return out
}

func TestLinkReads(t *testing.T) {
	const maxBytes = 50
	text := rapid.StringMatching(`[a-z\r\n$*+\-]{0,60}`)
	rapid.Check(t, func(t *rapid.T) {
		var stream strings.Builder
		type want struct {
			kind                      eventKind
			pattern, channel, payload string
		}
		var wants []want
		for range rapid.IntRange(1, 20).Draw(t, "events") {
			a, b, c := text.Draw(t, "a"), "x"+text.Draw(t, "b"), text.Draw(t, "c")
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				stream.WriteString(array("message", b, "x"+c))
				wants = append(wants, want{eventMessage, "", b, "x" + c})
			case 1:
				stream.WriteString(array("pmessage", a, b, "x"+c))
				wants = append(wants, want{eventPMessage, a, b, "x" + c})
			case 2:
				stream.WriteString(array("subscribe", b, ":17"))
				wants = append(wants, want{eventSubscribed, "", b, ""})
			case 3:
				stream.WriteString(array("punsubscribe", b, ":0"))
				wants = append(wants, want{eventUnsubscribed, "", b, ""})
			case 4:
				stream.WriteString(array("pong", c))
				wants = append(wants, want{eventPong, "", "", c})
			}
		}
		l := linkOver(&scripted{r: strings.NewReader(stream.String()), piece: rapid.IntRange(1, 100).Draw(t, "piece")}, maxBytes)
		for i, w := range wants {
			e, err := l.next()
			if err != nil {
				t.Fatalf("event %d: %v", i, err)
			}
			if e.kind != w.kind || string(e.pattern) != w.pattern || string(e.channel) != w.channel {
				t.Fatalf("event %d is %d %q %q, want %+v", i, e.kind, e.pattern, e.channel, w)
			}
			if isMessage := w.kind == eventMessage || w.kind == eventPMessage; isMessage && len(w.payload) > maxBytes {
				if e.payload != nil || e.size != len(w.payload) {
					t.Fatalf("event %d has a payload of %d bytes and size %d, want none, and %d", i, len(e.payload), e.size, len(w.payload))
				}
			} else if string(e.payload) != w.payload {
				t.Fatalf("event %d has payload %q, want %q", i, e.payload, w.payload)
			}
		}
		if _, err := l.next(); !errors.Is(err, io.EOF) {
			t.Fatalf("after the last event: %v, want EOF", err)
		}
	})
}

func FuzzLink(f *testing.F) {
	f.Add([]byte(array("message", "a", "b")))
	f.Add([]byte("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$999999999\r\n"))
	f.Add([]byte("-NOAUTH Authentication required.\r\n"))
	f.Add([]byte("*3\r\n$-1\r\n"))
	f.Add([]byte("*4294967299\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		l := linkOver(&scripted{r: bytes.NewReader(stream), piece: 7}, 100)
		for {
			e, err := l.next()
			if err != nil {
				return
			}
			if len(e.payload) > 100 && e.kind != eventPong || len(e.channel) > maxShort {
				t.Fatalf("event %d of %d and %d bytes", e.kind, len(e.payload), len(e.channel))
			}
		}
	})
}

// TestLinkIsSilent lets a link hear nothing: it ends after its limit, and not before while pongs come.
func TestLinkIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		l := linkOver(near, 100)
		defer l.close()
		go func() {
			for range 20 {
				time.Sleep(time.Second)
				_, _ = far.Write([]byte(array("pong", "1")))
			}
		}()
		for i := range 20 {
			if e, err := l.next(); err != nil || e.kind != eventPong {
				t.Fatalf("pong %d: %+v, %v", i, e, err)
			}
		}
		heard := time.Now()
		_, err := l.next()
		if took := time.Since(heard); err == nil || took > l.limit || took < l.limit*8/10 {
			t.Errorf("silence was %v after %v, want an error within %v", err, took, l.limit)
		}
	})
}

// TestLinkOnASlowLine lets a long message come in pieces, each a sign of life: all of it takes longer than the limit of silence.
func TestLinkOnASlowLine(t *testing.T) {
	for name, maxBytes := range map[string]int{"Taken": 1000, "ReadOver": 100} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				l := linkOver(near, maxBytes)
				long := strings.Repeat("x", 900)
				var wg sync.WaitGroup
				defer wg.Wait()
				defer l.close()
				wg.Go(func() {
					for text := array("message", "a", long); text != ""; {
						n := min(len(text), 200)
						_, _ = far.Write([]byte(text[:n]))
						text = text[n:]
						time.Sleep(l.limit * 9 / 10)
					}
				})
				want := ""
				if maxBytes >= len(long) {
					want = long
				}
				if e, err := l.next(); err != nil || e.kind != eventMessage || e.size != len(long) || string(e.payload) != want {
					t.Errorf("got %v of %d bytes, %d kept, %v", e.kind, e.size, len(e.payload), err)
				}
			})
		})
	}
}

// TestLinkThatOnlyHears has messages come all the time, and no pong: what is written goes nowhere.
func TestLinkThatOnlyHears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		l := linkOver(near, 100)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		defer far.Close()
		wg.Go(func() { _, _ = io.Copy(io.Discard, far) })
		wg.Go(func() {
			for nap.For(ctx, 100*time.Millisecond) {
				if _, err := far.Write([]byte(array("message", "a", "b"))); err != nil {
					return
				}
			}
		})
		wg.Go(func() { l.keepAlive(ctx, nil) })
		began := time.Now()
		for {
			if _, err := l.next(); err != nil {
				break
			}
		}
		if took := time.Since(began); took < 2*l.limit || took > 3*l.limit {
			t.Errorf("it is ended after %v, want more than twice the silence limit of %v, and less than thrice", took, l.limit)
		}
	})
}

func encodeCopy(kind copyKind, offset uint64, ms int64, tok token, epoch, name, data string) []byte {
	b := []byte{copyVersion, byte(kind)}
	b = binary.BigEndian.AppendUint64(b, offset)
	b = binary.BigEndian.AppendUint64(b, uint64(ms))
	b = append(b, tok[:]...)
	b = append(append(b, byte(len(epoch))), epoch...)
	b = append(append(b, byte(len(name))), name...)
	return append(b, data...)
}

func TestParseCopy(t *testing.T) {
	var in interner
	rapid.Check(t, func(t *rapid.T) {
		offset, ms := rapid.Uint64Range(1, 1<<53).Draw(t, "offset"), rapid.Int64Range(0, 1<<50).Draw(t, "ms")
		epoch, name := rapid.StringMatching(`[a-z0-9]{1,32}`).Draw(t, "epoch"), rapid.StringMatching(`[a-z:]{1,255}`).Draw(t, "name")
		data := rapid.String().Draw(t, "data")
		tok := token(rapid.SliceOfN(rapid.Byte(), tokenBytes, tokenBytes).Draw(t, "token"))
		b := encodeCopy(copyPublication, offset, ms, tok, epoch, name, data)
		c, err := parseCopy(b, &in)
		if err != nil || c.position != (realtime.Position{Epoch: epoch, Offset: offset}) || c.ms != ms || c.token != tok || string(c.name) != name || string(c.data) != data {
			t.Fatalf("parsed %+v, %v", c, err)
		}
		if cut := rapid.IntRange(0, len(b)-len(data)-1).Draw(t, "cut"); cut < len(b) {
			if c, err := parseCopy(b[:cut], &in); err == nil {
				t.Fatalf("%d of %d bytes are parsed as %+v", cut, len(b), c)
			}
		}
	})
	for name, b := range map[string][]byte{
		"other version":           append([]byte{2}, encodeCopy(copyPublication, 1, 1, token{}, "e", "n", "1")[1:]...),
		"other kind":              encodeCopy(9, 1, 1, token{}, "e", "n", "1"),
		"no epoch":                encodeCopy(copyPublication, 1, 1, token{}, "", "n", "1"),
		"long epoch":              encodeCopy(copyPublication, 1, 1, token{}, strings.Repeat("e", 33), "n", "1"),
		"no name":                 encodeCopy(copyPublication, 1, 1, token{}, "e", "", "1"),
		"publication at 0":        encodeCopy(copyPublication, 0, 1, token{}, "e", "n", "1"),
		"trace at 0":              encodeCopy(copyTrace, 0, 1, token{}, "e", "n", "1"),
		"trace without a name":    encodeCopy(copyTrace, 1, 1, token{}, "e", "", "1"),
		"turn with an offset":     encodeCopy(copyTurned, 1, 1, token{}, "e", "n", "1"),
		"tenant turn with a name": encodeCopy(copyTenantTurned, 0, 1, token{}, "e", "n", "1"),
		"JSON":                    []byte(`{"type":"production_update","productionId":"x","data":{"a":1,"b":2}}`),
	} {
		if c, err := parseCopy(b, &in); err == nil {
			t.Errorf("%s is parsed as %+v", name, c)
		}
	}
}

func FuzzParseCopy(f *testing.F) {
	f.Add(encodeCopy(copyPublication, 1, 1, token{}, "e", "n", "1"))
	f.Add(encodeCopy(copyTrace, 1, 1, token{}, "e", "n", "1"))
	f.Add(encodeCopy(copyTenantTurned, 0, 1, token{}, "e", "", "intake"))
	var in interner
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCopy(b, &in)
		if err != nil {
			return
		}
		if again := encodeCopy(c.kind, c.position.Offset, c.ms, c.token, c.position.Epoch, string(c.name), string(c.data)); !bytes.Equal(again, b) {
			t.Fatalf("%x is parsed as %x", b, again)
		}
	})
}

// TestKeysAreApart spells the keys of drawn channels: no two of them, or of their idempotency keys, share one.
func TestKeysAreApart(t *testing.T) {
	part := rapid.StringMatching(`[a:]{1,3}`)
	id := rapid.StringMatching(`[ah_\-]{0,2}`)
	rapid.Check(t, func(t *rapid.T) {
		k := keys("kentongan:")
		one := realtime.Channel{Tenant: tenant.ID(id.Draw(t, "t1")), Name: part.Draw(t, "n1")}
		two := realtime.Channel{Tenant: tenant.ID(id.Draw(t, "t2")), Name: part.Draw(t, "n2")}
		key1, key2 := part.Draw(t, "k1"), part.Draw(t, "k2")
		if same := one == two && key1 == key2; (k.record(one, key1) == k.record(two, key2)) != same {
			t.Fatalf("records of %v %q and %v %q", one, key1, two, key2)
		}
		if (k.stream(one) == k.stream(two)) != (one == two) {
			t.Fatalf("streams of %v and %v", one, two)
		}
		all := map[string]bool{}
		for _, name := range []string{k.stream(one), k.head(one.Tenant), k.live(one.Tenant), k.record(one, key1), k.nodes(one.Tenant), k.present(one.Tenant, "n"), k.revoke(), k.revoked(), k.ticket("x")} {
			if all[name] {
				t.Fatalf("%q is two things", name)
			}
			all[name] = true
		}
		if got, ok := k.tenantOfHead(k.head(one.Tenant)); !ok || got != one.Tenant {
			t.Fatalf("the head of %q is read back as %q, %v", one.Tenant, got, ok)
		}
	})
}

func TestSeatField(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := seat{rapid.String().Draw(t, "channel"), rapid.String().Draw(t, "user")}
		field := string(s.append(nil))
		got, m, err := parseSeat(field, string(present{3, 1_700_000_000_000}.append(nil)))
		if err != nil || got != s || m.Sessions != 3 || m.User != s.user || m.Since.UnixMilli() != 1_700_000_000_000 {
			t.Fatalf("%q is read as %+v, %+v, %v", field, got, m, err)
		}
	})
	for _, bad := range [][2]string{{"", "1:1"}, {"1", "1:1"}, {"-1::x", "1:1"}, {"9:a:b", "1:1"}, {"1:a:b", ""}, {"1:a:b", "x:1"}, {"1:ab:c", "1:1"}} {
		if s, _, err := parseSeat(bad[0], bad[1]); err == nil {
			t.Errorf("%q is read as %+v", bad, s)
		}
	}
}

// TestHoldingIsBounded overfills a holding: it keeps nothing rather than a part.
func TestHoldingIsBounded(t *testing.T) {
	var h holding
	for range 10 * maxHeld {
		h.add(&stampedCopy{data: make([]byte, 1)})
	}
	if !h.overflow || len(h.copies) != 0 {
		t.Errorf("overflow %v with %d copies, want true with none", h.overflow, len(h.copies))
	}
	if h.begin(); h.overflow {
		t.Error("a new read does not cover what came before it")
	}
	h.add(&stampedCopy{data: make([]byte, maxHeldBytes+1)})
	if !h.overflow {
		t.Error("the bytes are not bounded")
	}
}

func TestBackoff(t *testing.T) {
	for n := range 100 {
		if d := backoff(n); d <= 0 || d > 2*time.Second+time.Millisecond {
			t.Fatalf("try %d waits %v", n, d)
		}
	}
}

// TestCopiesAreApart: payloads that have memory together are as they came, whatever is read after them, and whatever is appended to one.
func TestCopiesAreApart(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	var l link
	var copies, were [][]byte
	for n := range 2000 {
		payload := bytes.Repeat([]byte{byte(n)}, chance.IntN(2*smallPayload))
		copies, were = append(copies, l.copyOf(payload)), append(were, bytes.Clone(payload))
		clear(payload) // the buffer of the reader has something else next
		_ = append(copies[chance.IntN(n+1)], 0xff)
	}
	for n := range copies {
		if !bytes.Equal(copies[n], were[n]) || copies[n] == nil {
			t.Fatalf("payload %d of %d bytes is %.40q", n, len(were[n]), copies[n])
		}
	}
}
