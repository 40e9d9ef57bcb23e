package app_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
)

// arena is a server under attack. A well-behaved screen of another kitchen is connected all the time and must miss nothing.
type arena struct {
	*server
	neighbour *websocket.Conn
	told      int
	client    *http.Client // keeps no connections, which would count as left behind
	before    census
}

// census is what an attack must leave as it was.
type census struct{ goroutines, descriptors int }

func count() census {
	c := census{goroutines: runtime.NumGoroutine()}
	const open = "/proc/self/fd" // elsewhere than on Linux only goroutines are counted
	entries, _ := os.ReadDir(open)
	for _, entry := range entries {
		// One that gives way opens an eventfd when it first works for long, which on a busy machine is in the midst of an attack, and keeps
		// it: that is one for a goroutine, and goroutines are counted. What is gone by now is the list itself.
		if of, err := os.Readlink(filepath.Join(open, entry.Name())); err == nil && of != "anon_inode:[eventfd]" {
			c.descriptors++
		}
	}
	return c
}

func newArena(t *testing.T, environ ...string) *arena {
	t.Helper()
	environ = append([]string{"KENTONGAN_PING_INTERVAL=10m"}, environ...) // attackers read what is said to them, and no ping in between
	a := &arena{server: start(t, environ...), client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}}
	a.neighbour = a.dial(a.cookie("neighbour", "b", "SPPG_KEPALA"))
	return a
}

// against runs one attack and checks that the neighbour, the process, its goroutines and its descriptors are as before.
func (a *arena) against(t *testing.T, attack func(t *testing.T)) {
	t.Helper()
	a.tell(t)
	if (a.before == census{}) {
		a.before = count() // once, so that what the attacks leave behind adds up
	}
	attack(t)
	a.tell(t)
	if status, body := a.ask(t, http.MethodGet, "/healthz", "", nil); status != http.StatusOK {
		t.Errorf("/healthz answers %d %s", status, body)
	}
	var now census
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if now = count(); now.goroutines <= a.before.goroutines && now.descriptors <= a.before.descriptors {
			return
		}
	}
	stacks := make([]byte, 64<<10)
	t.Errorf("left behind: %+v, before %+v\n%s", now, a.before, stacks[:runtime.Stack(stacks, true)])
}

// tell publishes the next number for the neighbour and has it read that number and nothing else.
func (a *arena) tell(t *testing.T) {
	t.Helper()
	a.told++
	want := fmt.Sprintf(`{"n":%d}`, a.told)
	if status, body := a.put(t, "production:updates:b", want); status != http.StatusOK {
		t.Fatalf("publish was answered with %d %s", status, body)
	}
	if got := read(t, a.neighbour); got != want {
		t.Fatalf("the neighbour reads %s, want %s", got, want)
	}
}

// put publishes data and answers with the status.
func (a *arena) put(t *testing.T, channel, data string) (int, string) {
	t.Helper()
	return a.ask(t, http.MethodPost, "/api/publish", fmt.Sprintf(`{"channel":%q,"data":%s}`, channel, data), apiHeader())
}

func apiHeader() http.Header {
	return http.Header{"Authorization": {"Bearer " + apiKey}, "Content-Type": {"application/json"}}
}

// ask is server.do on a connection of its own.
func (a *arena) ask(t *testing.T, method, path, body string, header http.Header) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+a.public+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := a.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// metric returns the line of /metrics that begins with name, without it.
func (a *arena) metric(t *testing.T, name string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+a.admin+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return value
		}
	}
	return "no " + name
}

// raw is a TCP connection of an attacker.
type raw struct {
	t       *testing.T
	conn    net.Conn
	r       *bufio.Reader
	writers sync.WaitGroup
}

func (a *arena) connect(t *testing.T) *raw {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", a.public)
	if err != nil {
		t.Fatal(err)
	}
	// One deadline for all that the test does with it, so that pings do not put it off for ever: a thousand of them may be opened meanwhile.
	if err := conn.SetDeadline(time.Now().Add(4 * patience)); err != nil {
		t.Fatal(err)
	}
	return &raw{t: t, conn: conn, r: bufio.NewReader(conn)}
}

// send writes beside reading, and not more than the server takes: it may hang up in the middle.
func (c *raw) send(parts ...string) {
	c.writers.Go(func() {
		for _, p := range parts {
			if _, err := io.WriteString(c.conn, p); err != nil {
				return
			}
		}
	})
}

func (c *raw) hangUp() {
	_ = c.conn.Close()
	c.writers.Wait()
}

// answer reads one HTTP response; the status is 0 if the connection ends without, or within.
func (c *raw) answer() (status int, header http.Header, body string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Logf("no response: %v", err)
		return 0, http.Header{}, ""
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		return resp.StatusCode, resp.Header, ""
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Errorf("body of the %d: %v", resp.StatusCode, err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// ends reports whether the server ends the connection.
func (c *raw) ends() bool {
	_, err := io.Copy(io.Discard, c.r)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

// frame reads one frame of the server. The opcode is that of a close, and the payload empty, if the connection ends
// instead.
func (c *raw) frame() (ws.OpCode, string) {
	c.t.Helper()
	h, err := ws.ReadHeader(c.r)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Error("nothing comes any more, and the connection does not end")
		}
		return ws.OpClose, ""
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		return ws.OpClose, ""
	}
	return h.OpCode, string(payload)
}

// text reads the next text message.
func (c *raw) text() string {
	c.t.Helper()
	for {
		switch op, payload := c.frame(); op {
		case ws.OpText:
			return payload
		case ws.OpClose:
			c.t.Fatalf("closed with %d", codeOf(payload))
		default:
		}
	}
}

// closeCode reads until the connection ends; 0 if it does so without a code.
func (c *raw) closeCode() int {
	c.t.Helper()
	for {
		if op, payload := c.frame(); op == ws.OpClose {
			return codeOf(payload)
		}
	}
}

func codeOf(payload string) int {
	if len(payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16([]byte(payload)))
}

// frame makes a frame of a client with the length in its shortest form. A masking key of zeros is allowed, and leaves the payload
// as it is.
func frame(first byte, payload string) string {
	head := []byte{first}
	switch n := len(payload); {
	case n < 126:
		head = append(head, 0x80|byte(n))
	case n < 1<<16:
		head = binary.BigEndian.AppendUint16(append(head, 0x80|126), uint16(n))
	default:
		head = binary.BigEndian.AppendUint64(append(head, 0x80|127), uint64(n))
	}
	return string(head) + "\x00\x00\x00\x00" + payload
}

// The first bytes of frames.
const (
	fin      = 0x80
	rsv1     = 0x40
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
)

// text is a whole text message of a client.
func text(s string) string { return frame(fin|opText, s) }

// goodUpgrade is a handshake that is accepted; attacks replace parts of it. In braces stands what depends on the server.
const goodUpgrade = "GET /api/ws HTTP/1.1\r\n" +
	"Host: {host}\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"{cookie}" +
	"Origin: http://{host}\r\n" +
	"\r\n"

// fill replaces pairs of old and new in request, then what stands in braces.
func (a *arena) fill(request string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(request, pairs[i]) {
			a.t.Fatalf("the request has no %q to replace", pairs[i])
		}
		request = strings.Replace(request, pairs[i], pairs[i+1], 1)
	}
	cookie := "Cookie: " + a.cookie("attacker", "a", "SPPG_KEPALA").Get("Cookie") + "\r\n"
	return strings.NewReplacer("{host}", a.public, "{cookie}", cookie).Replace(request)
}

// upgrade opens a WebSocket by hand; lines are further header lines.
func (a *arena) upgrade(t *testing.T, lines string) *raw {
	t.Helper()
	c := a.connect(t)
	c.send(a.fill(goodUpgrade, "{cookie}", lines+"{cookie}"))
	if status, _, body := c.answer(); status != http.StatusSwitchingProtocols {
		c.hangUp()
		t.Fatalf("the upgrade was answered with %d %s", status, body)
	}
	return c
}
