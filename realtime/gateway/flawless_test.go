package gateway

import (
	"bufio"
	"bytes"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// browserHead is what a browser sends behind a proxy, with what is the test's own added.
func browserHead(target string, more ...string) string {
	lines := append([]string{
		"GET " + target + " HTTP/1.1", "Host: dapur.example:8443", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)", "Accept: */*",
		"Connection: keep-alive, Upgrade", "Pragma: no-cache", "Cache-Control: no-cache", "Upgrade: websocket", "Origin: https://dapur.example:8443",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Cookie: a=b; authjs.session-token=ey", "x-forwarded-for: 10.0.0.1",
	}, more...)
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// TestFlawless: which handshakes take the short way.
func TestFlawless(t *testing.T) {
	short := map[string]string{
		"Browser":       browserHead("/api/ws"),
		"Root":          browserHead("/"),
		"Query":         browserHead("/api/ws?channels=updates%3Aa,system-alert&tenant=a"),
		"EmptyQuery":    browserHead("/api/ws?"),
		"Twice":         browserHead("/api/ws", "X-A: 1", "x-a: 2", "X-A:"),
		"OtherLetters":  browserHead("/api/ws", "X-Name: Bu Sri\xe9", "X-Tab: a\tb \t"),
		"LongButNoMore": browserHead("/api/ws", strings.Split(strings.Repeat("X-A: 1\n", maxHeadLines-13)+"X-A: 1", "\n")...),
	}
	for name, head := range short {
		t.Run(name, func(t *testing.T) {
			if sameAsNetHTTP(t, []byte(head)) == nil {
				t.Errorf("it does not take the short way:\n%s", head)
			}
		})
	}
	plain := browserHead("/api/ws")
	for name, head := range map[string]string{
		"Post":          strings.Replace(plain, "GET", "POST", 1),
		"OldVersion":    strings.Replace(plain, "HTTP/1.1", "HTTP/1.0", 1),
		"OtherPath":     browserHead("/api/ws/"),
		"Absolute":      browserHead("http://dapur.example/api/ws"),
		"SpaceInTarget": browserHead("/api/ws?a b"),
		"BareLineFeed":  strings.Replace(plain, "\r\nAccept", "\nAccept", 1),
		"Folded":        browserHead("/api/ws", "X-A: 1", " 2"),
		"NoColon":       browserHead("/api/ws", "X-A"),
		"NoName":        browserHead("/api/ws", ": 1"),
		"SpaceInName":   browserHead("/api/ws", "X-A : 1"),
		"DotInName":     browserHead("/api/ws", "X.A: 1"),
		"Control":       browserHead("/api/ws", "X-A: 1\x00"),
		"Return":        browserHead("/api/ws", "X-A: 1\r2"),
		"Delete":        browserHead("/api/ws", "X-A: \x7f"),
		"TwoHosts":      browserHead("/api/ws", "Host: other.example"),
		"NoHost":        strings.Replace(plain, "Host:", "X-Host:", 1),
		"EmptyHost":     strings.Replace(plain, "dapur.example:8443", "", 1),
		"StrangeHost":   strings.Replace(plain, "dapur.example:8443", "a@b", 1),
		"NoUpgrade":     strings.Replace(plain, "Upgrade: websocket\r\n", "", 1),
		"OtherUpgrade":  strings.Replace(plain, "Upgrade: websocket", "Upgrade: h2c", 1),
		"TwoUpgrades":   browserHead("/api/ws", "Upgrade: websocket"),
		"Length":        browserHead("/api/ws", "Content-Length: 0"),
		"Chunked":       browserHead("/api/ws", "Transfer-Encoding: chunked"),
		"Trailer":       browserHead("/api/ws", "Trailer: X-A"),
		"Expect":        browserHead("/api/ws", "Expect: 100-continue"),
		"TooManyLines":  browserHead("/api/ws", strings.Split(strings.Repeat("X-A: 1\n", maxHeadLines)+"X-A: 1", "\n")...),
		"NothingBehind": "GET /api/ws HTTP/1.1\r\n\r\n",
		"HeadersOnly":   "\r\nUpgrade: websocket\r\n\r\n",
		"NoEnd":         "GET /api/ws HTTP/1.1",
	} {
		t.Run(name, func(t *testing.T) {
			if new(flawless).read([]byte(head)) != nil {
				t.Errorf("it takes the short way:\n%s", head)
			}
		})
	}
}

// FuzzFlawless: what takes the short way is the request that net/http would have made of it, and none that our listener
// would have refused.
func FuzzFlawless(f *testing.F) {
	f.Add([]byte(browserHead("/api/ws?channels=a,b@e/1", "X-A: 1", "x-a: \xff")))
	f.Add([]byte(browserHead("/", "Cookie: c=d", "Transfer-Encoding: identity")))
	f.Add([]byte("GET /api/ws? HTTP/1.1\r\nhost:a\r\nUPGRADE:\twebsocket \r\n\r\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if end := bytes.Index(head, headEnd); end >= 0 { // as its caller does
			sameAsNetHTTP(t, head[:end+len(headEnd)])
		}
	})
}

// usedFlawless returns one that has read another request before.
func usedFlawless(t *testing.T) *flawless {
	t.Helper()
	f := new(flawless)
	if f.read([]byte(browserHead("/?cursor=a", "Authorization: Bearer a", "X-A: 1", "X-A: 2"))) == nil {
		t.Fatal("a browser's request does not take the short way")
	}
	f.reset()
	return f
}

// sameAsNetHTTP returns what it makes of head, compared.
func sameAsNetHTTP(t *testing.T, head []byte) *http.Request {
	t.Helper()
	got := usedFlawless(t).read(head)
	if got == nil {
		return nil
	}
	if !(&headConn{}).check(head) {
		t.Fatalf("the listener would have refused this:\n%q", head)
	}
	want, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		t.Fatalf("net/http refuses this: %v\n%q", err, head)
	}
	want.Close = false
	if len(got.Header["Cache-Control"]) == 0 {
		want.Header.Del("Cache-Control")
	}
	if got.Header.Get("Upgrade") == "" || !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %+v\nwant %+v\nof %q", got, want, head)
	}
	return got
}

// BenchmarkFlawless takes a browser's request, in turns with net/http, which is the reference: x-net/http is its share of the time.
func BenchmarkFlawless(b *testing.B) {
	head := []byte(browserHead("/api/ws", "Accept-Language: id-ID,id;q=0.9", "X-Cookie: "+strings.Repeat("x", 400)))
	reader := bufio.NewReaderSize(nil, 1<<10)
	var asks flawless
	var ours, theirs time.Duration
	b.ReportAllocs()
	for b.Loop() {
		began := time.Now()
		if asks.read(head) == nil {
			b.Fatal("it does not take the short way")
		}
		asks.reset()
		between := time.Now()
		reader.Reset(bytes.NewReader(head))
		if _, err := http.ReadRequest(reader); err != nil {
			b.Fatal(err)
		}
		ours, theirs = ours+between.Sub(began), theirs+time.Since(between)
	}
	b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N), "ours-ns/op")
	b.ReportMetric(float64(ours)/float64(theirs), "x-net/http")
}
