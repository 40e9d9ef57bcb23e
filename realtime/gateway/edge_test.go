package gateway_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"kentongan/internal/clientip"
	"kentongan/realtime/gateway"
	"kentongan/realtime/socket"
)

// eachWay runs test over every way in which connections are served: the epoll engine, the portable one, and TLS.
func eachWay(t *testing.T, test func(t *testing.T, start func(gateway.Options) *node)) {
	t.Helper()
	for name, way := range map[string]struct {
		kind   socket.Kind
		secure bool
	}{"Auto": {socket.Auto, false}, "Portable": {socket.Portable, false}, "TLS": {socket.Auto, true}} {
		t.Run(name, func(t *testing.T) {
			test(t, func(opts gateway.Options) *node {
				sockets, err := socket.Open(socket.Options{Kind: way.kind})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(sockets.Close)
				opts.Sockets = sockets
				var secure *tls.Config
				if way.secure {
					secure = serverTLS("h2", "http/1.1")
				}
				return startOver(t, secure, opts)
			})
		})
	}
}

// raw is a connection on which a test writes by hand.
type raw struct {
	n    *node
	conn net.Conn
	r    *bufio.Reader
}

// connect opens a connection whose first bytes are before, ahead of TLS if there is any.
func (n *node) connect(before string) *raw {
	n.t.Helper()
	conn, err := net.DialTimeout("tcp", n.addr, patience)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, before); err != nil {
		n.t.Fatal(err)
	}
	if n.client != nil {
		conn = tls.Client(conn, n.client)
	}
	return &raw{n, conn, bufio.NewReader(conn)}
}

// ask sends a request and returns the answer's head; its body is not read.
func (c *raw) ask(user, path, lines string) *http.Response {
	c.n.t.Helper()
	if _, err := io.WriteString(c.conn, "GET "+path+" HTTP/1.1\r\nHost: test\r\nX-Test-User: "+user+"\r\n"+lines+"\r\n"); err != nil {
		c.n.t.Fatal(err)
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.n.t.Fatal(err)
	}
	if resp.ContentLength >= 0 { // closing the body of an event stream would read to its end
		_ = resp.Body.Close()
	}
	return resp
}

// try asks for a WebSocket on a connection of its own.
func (n *node) try(user, lines string) (status int, header http.Header) {
	n.t.Helper()
	resp := n.connect("").ask(user, "/api/ws", handshake+lines) //nolint:bodyclose // it ends with the connection
	return resp.StatusCode, resp.Header
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func from(address string) string { return "X-Forwarded-For: " + address + "\r\n" }

func TestQuotas(t *testing.T) {
	eachWay(t, func(t *testing.T, start func(gateway.Options) *node) {
		n := start(gateway.Options{
			Proxies: &clientip.Proxies{Trusted: loopback()}, Quotas: gateway.Quotas{PerTenant: 4, PerUser: 3, PerAddress: 2},
		})
		want := func(user, address string, status int) {
			t.Helper()
			got, header := n.try(user, from(address))
			if got != status || (status == http.StatusTooManyRequests) != (header.Get("Retry-After") != "") {
				t.Errorf("%s from %s is answered %d (Retry-After %q), want %d", user, address, got, header.Get("Retry-After"), status)
			}
		}
		want("u1@a", "203.0.113.1", 101)
		want("u2@a", "203.0.113.1", 101)
		want("u1@b", "203.0.113.1", 429) // the address
		want("u1@a", "203.0.113.2", 101)
		want("u1@a", "203.0.113.3", 101)
		want("u3@a", "203.0.113.4", 429)        // the kitchen
		want("app@ server", "203.0.113.5", 101) // of no kitchen
		want("u1@c", "2001:db8:0:1::1", 101)    // an IPv6 network counts as a whole
		want("u1@c", "2001:db8:0:1:ffff::2", 101)
		want("u2@c", "2001:db8:0:1::3", 429)
		want("u2@c", "2001:db8:0:2::3", 101)
		want("u1@c", "203.0.113.6", 101)
		want("u1@c", "203.0.113.7", 429) // the kitchen, and the user
		for range 3 {
			want("u1@d", "192.168.1.7", 101) // private addresses are not counted
		}
		want("u1@d", "192.168.1.7", 429) // the user
		denied := n.gateway.Stats().Denied
		for reason, times := range map[string]uint64{"address-full": 2, "tenant-full": 2, "user-full": 1} {
			if denied[reason] != times {
				t.Errorf("%d refused for %s, want %d (%v)", denied[reason], reason, times, denied)
			}
		}
		if got, _ := n.tryStream("u9@e", from("203.0.113.1")); got != http.StatusTooManyRequests {
			t.Errorf("an event stream from an address with all its connections is answered %d", got)
		}
	})
}

// tryStream asks for an event stream on a connection of its own.
func (n *node) tryStream(user, lines string) (status int, header http.Header) {
	n.t.Helper()
	resp := n.connect("").ask(user, "/api/sse", lines) //nolint:bodyclose // it ends with the connection
	return resp.StatusCode, resp.Header
}

// TestSeatsComeFree fills a kitchen, and has one leave.
func TestSeatsComeFree(t *testing.T) {
	eachWay(t, func(t *testing.T, start func(gateway.Options) *node) {
		n := start(gateway.Options{Quotas: gateway.Quotas{PerTenant: 1}})
		for range 3 {
			first := n.dial("u1@a", "/api/ws")
			if got, _ := n.try("u2@a", ""); got != http.StatusTooManyRequests {
				t.Fatalf("the second of a kitchen that may have one is answered %d", got)
			}
			_ = first.conn.CloseNow()
			for end := time.Now().Add(patience); n.gateway.Connections() > 0; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the session does not end")
				}
			}
		}
	})
}

func TestUpgradeRate(t *testing.T) {
	eachWay(t, func(t *testing.T, start func(gateway.Options) *node) {
		n := start(gateway.Options{Proxies: &clientip.Proxies{Trusted: loopback()}, Quotas: gateway.Quotas{UpgradeRate: 1}})
		limited := 0
		for range 15 { // ten may come at once, also those that are refused for another reason
			status, header := n.try("", from("203.0.113.1"))
			if status == http.StatusTooManyRequests && header.Get("Retry-After") != "" {
				limited++
			} else if status != http.StatusUnauthorized {
				t.Errorf("answered %d, want 401 or 429", status)
			}
		}
		if limited == 0 {
			t.Error("an address may open connections as fast as it likes")
		}
		if status, _ := n.try("u1@a", from("203.0.113.2")); status != http.StatusSwitchingProtocols {
			t.Errorf("another address is answered %d", status)
		}
		for range 30 {
			if status, _ := n.try("u1@a", ""); status != http.StatusSwitchingProtocols {
				t.Fatalf("a proxy itself is answered %d", status)
			}
		}
		if n.gateway.Stats().Denied["upgrade-rate"] != uint64(limited) {
			t.Errorf("%d are counted, %d were limited", n.gateway.Stats().Denied["upgrade-rate"], limited)
		}
	})
}

// TestWhoConnects looks at the addresses in the list of connections, and at who may say what they are.
func TestWhoConnects(t *testing.T) {
	const line = "PROXY TCP4 203.0.113.9 127.0.0.1 5000 443\r\n"
	two := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x08\x7f\x00\x00\x01\x13\x88\x01\xbb"
	local := "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"
	trusting := &clientip.Proxies{Trusted: append(loopback(), netip.MustParsePrefix("203.0.113.9/32"))}
	for name, c := range map[string]struct {
		opts          gateway.Options
		before, lines string
		want          string // empty: the connection ends without an answer
	}{
		"Direct":                 {gateway.Options{}, "", "", "127.0.0.1"},
		"NobodyIsTrusted":        {gateway.Options{}, "", from("203.0.113.1"), "127.0.0.1"},
		"Trusted":                {gateway.Options{Proxies: trusting}, "", from("203.0.113.1"), "203.0.113.1"},
		"OtherHeader":            {gateway.Options{Proxies: trusting}, "", "Forwarded: for=203.0.113.1\r\n", "127.0.0.1"},
		"One":                    {gateway.Options{ProxyPeers: loopback()}, line, "", "203.0.113.9"},
		"Two":                    {gateway.Options{ProxyPeers: loopback()}, two, "", "203.0.113.8"},
		"Local":                  {gateway.Options{ProxyPeers: loopback()}, local, "", "127.0.0.1"},
		"HeaderAndTrusted":       {gateway.Options{ProxyPeers: loopback(), Proxies: trusting}, line, from("198.51.100.1"), "198.51.100.1"},
		"HeaderOfSomebodyElse":   {gateway.Options{ProxyPeers: loopback(), Proxies: trusting}, two, from("198.51.100.1"), "203.0.113.8"},
		"HeaderIsMissing":        {gateway.Options{ProxyPeers: loopback()}, "", "", ""},
		"HeaderIsBroken":         {gateway.Options{ProxyPeers: loopback()}, "PROXY TCP4 x\r\n", "", ""},
		"HeaderFromAStranger":    {gateway.Options{ProxyPeers: trusting.Trusted[1:]}, line, "", ""},
		"HeaderTwice":            {gateway.Options{ProxyPeers: loopback()}, line + line, "", ""},
		"NobodySendsAHeaderHere": {gateway.Options{}, line, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, start func(gateway.Options) *node) {
				n := start(c.opts)
				for _, path := range []string{"/api/ws", "/api/sse"} { // the quick way in, and the one through net/http
					lines := c.lines
					if path == "/api/ws" {
						lines += handshake
					}
					conn := n.connect(c.before)
					if c.want == "" {
						_, _ = io.WriteString(conn.conn, "GET "+path+" HTTP/1.1\r\nHost: test\r\nX-Test-User: u1@a\r\n"+lines+"\r\n")
						if resp, err := http.ReadResponse(conn.r, nil); err == nil && resp.StatusCode < 400 { //nolint:bodyclose // it ends with the connection
							t.Errorf("%s is answered %s", path, resp.Status)
						}
						continue
					}
					if resp := conn.ask("u1@a", path, lines); resp.StatusCode >= 300 { //nolint:bodyclose // it ends with the connection
						t.Fatalf("%s is answered %s", path, resp.Status)
					}
				}
				list := n.gateway.List(gateway.Filter{}, 10)
				if c.want == "" && len(list) > 0 || c.want != "" && len(list) != 2 {
					t.Fatalf("connected are %+v", list)
				}
				for _, one := range list {
					if one.Remote != c.want {
						t.Errorf("a %s connection is from %s, want %s", one.Dialect, one.Remote, c.want)
					}
				}
			})
		})
	}
}

// TestHeaderInPieces has the header of a proxy, and the request behind it, come byte by byte.
func TestHeaderInPieces(t *testing.T) {
	eachWay(t, func(t *testing.T, start func(gateway.Options) *node) {
		n := start(gateway.Options{ProxyPeers: loopback()})
		conn := n.connect("")
		below := conn.conn
		if secure, ok := below.(*tls.Conn); ok {
			below = secure.NetConn()
		}
		for _, b := range []byte("PROXY TCP4 203.0.113.9 127.0.0.1 5000 443\r\n") {
			if _, err := below.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		if resp := conn.ask("u1@a", "/api/ws", handshake); resp.StatusCode != http.StatusSwitchingProtocols { //nolint:bodyclose // it ends with the connection
			t.Fatalf("answered %s", resp.Status)
		}
		if got := n.gateway.List(gateway.Filter{}, 1)[0].Remote; got != "203.0.113.9" {
			t.Errorf("it is from %s", got)
		}
	})
}

// TestHeavyClient sends more bytes than a client may, each message within its bound.
func TestHeavyClient(t *testing.T) {
	eachWay(t, func(t *testing.T, start func(gateway.Options) *node) {
		n := start(gateway.Options{MaxMessageBytes: 4 << 10})
		c := n.dial("u1@a", "/api/ws", "kentongan.v1")
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		message := []byte(`{"id":1,"ping":{},"x":"` + strings.Repeat("x", 4000) + `"}`)
		go func() { // what is sent first is answered meanwhile
			for range 60 {
				if c.conn.Write(ctx, 1, message) != nil {
					return
				}
			}
		}()
		for {
			if _, _, err := c.conn.Read(ctx); err != nil {
				if want := "status = StatusCode(4005)"; !strings.Contains(fmt.Sprint(err), want) {
					t.Errorf("ended with %v, want %s", err, want)
				}
				return
			}
		}
	})
}
