package gateway

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// heads are request heads with the verdict of the strict reader.
var heads = []struct {
	name string
	text string
	good bool
}{
	{"Plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
	{"NoFields", "GET / HTTP/1.0\r\n\r\n", true},
	{"LineBreaksAhead", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", true},
	{"TabInAField", "GET / HTTP/1.1\r\nHost:\ta\r\n\r\n", true},
	{"BytesAbove127", "GET / HTTP/1.1\r\nX: \xc3\xa9\xff\r\n\r\n", true},
	{"AnythingInTheBody", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n\n\n \x00\x01\x7f\r \n", true},
	{"BareLineFeed", "GET / HTTP/1.1\nHost: a\r\n\r\n", false},
	{"BareLineFeedInTheFields", "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", false},
	{"BareLineFeedAtTheEnd", "GET / HTTP/1.1\r\nHost: a\r\n\n", false},
	{"BareCarriageReturn", "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", false},
	{"TwoCarriageReturns", "GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", false},
	{"FoldedBySpace", "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", false},
	{"FoldedByTab", "GET / HTTP/1.1\r\nX: a\r\n\tb\r\n\r\n", false},
	{"SpaceBeforeTheFirstField", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", false},
	{"NUL", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", false},
	{"Escape", "GET / HTTP/1.1\r\nHost: a\x1b\r\n\r\n", false},
	{"Delete", "GET / HTTP/1.1\r\nHost: a\x7f\r\n\r\n", false},
	{"VerticalTab", "GET / HTTP/1.1\r\nHost: a\x0b\r\n\r\n", false},
	{"ClientHello", "\x16\x03\x01\x02\x00\x01", false},
}

// verdict reads text in pieces that end at cuts.
func verdict(text []byte, cuts ...int) bool {
	c := &headConn{}
	from := 0
	for _, to := range append(cuts, len(text)) {
		if !c.done && !c.check(text[from:to]) {
			return false
		}
		from = to
	}
	return true
}

func TestHeads(t *testing.T) {
	for _, h := range heads {
		t.Run(h.name, func(t *testing.T) {
			text := []byte(h.text)
			if got := verdict(text); got != h.good {
				t.Fatalf("taken for good: %v, want %v", got, h.good)
			}
			for i := range text {
				for j := i; j < len(text); j++ {
					if verdict(text, i, j) != h.good {
						t.Fatalf("cut at %d and %d it is taken for good: %v, want %v", i, j, !h.good, h.good)
					}
				}
			}
		})
	}
}

// TestAnySplitOfAHeadGivesTheSameVerdict makes heads of the bytes that matter.
func TestAnySplitOfAHeadGivesTheSameVerdict(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"\r\n", "\r", "\n", " ", "\t", "a", "G: x", "\x00", "\r\n\r\n"})).Draw(t, "text"), ""))
		whole := verdict(text)
		var cuts []int
		for i := range text {
			if rapid.Bool().Draw(t, "cut") {
				cuts = append(cuts, i)
			}
		}
		if got := verdict(text, cuts...); got != whole {
			t.Fatalf("%q cut at %v is taken for good: %v, whole: %v", text, cuts, got, whole)
		}
	})
}

// one is a listener that has one connection.
type one struct {
	net.Listener
	conn net.Conn
}

func (l *one) Accept() (net.Conn, error) { return l.conn, nil }

func TestBadHeadIsAnswered(t *testing.T) {
	client, server := net.Pipe()
	conn, err := Listen(&one{conn: server}).Accept()
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan string, 1)
	go func() {
		_, _ = io.WriteString(client, "GET / HTTP/1.1\nHost: a\r\n\r\n")
		answer, _ := io.ReadAll(client)
		got <- string(answer)
	}()
	buf := make([]byte, 4096)
	n, err := conn.Read(buf)
	if n != 0 || !errors.Is(err, errBadHead) {
		t.Errorf("the server reads %q, %v; want nothing", buf[:n], err)
	}
	if answer := <-got; !strings.HasPrefix(answer, "HTTP/1.1 400 ") || !strings.Contains(answer, `"code":"BAD_REQUEST"`) {
		t.Errorf("the client reads %q", answer)
	}
}

// FuzzHead compares the reader with what it stands for: net/http reads good heads as they are, and those with a bare line feed
// otherwise.
func FuzzHead(f *testing.F) {
	for _, h := range heads {
		f.Add([]byte(h.text), 3)
	}
	f.Fuzz(func(t *testing.T, text []byte, cut int) {
		whole := verdict(text)
		if cut >= 0 && cut <= len(text) && verdict(text, cut) != whole {
			t.Fatalf("cut at %d the verdict is another one", cut)
		}
		head, _, complete := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\r\n\r\n"))
		if !whole || !complete {
			return
		}
		for i, line := range bytes.Split(head, []byte("\r\n")) {
			if bytes.ContainsAny(line, "\r\n\x00\x7f") || i > 0 && len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
				t.Fatalf("line %d %q of a head was let through", i, line)
			}
		}
	})
}
