package postgres_test

import (
	"context"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

type direction string

const (
	toServer direction = "on the way to the server"
	toClient direction = "on the way to the client"
)

// line is a way to the server that can be cut after a number of bytes.
type line struct {
	addr     string
	listener net.Listener
	running  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	armed bool
	way   direction
	left  int64 // bytes that still go through in way before the cut
	cut   bool  // it was
}

func newLine(t testing.TB, server string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{addr: server, listener: listener, conns: map[net.Conn]bool{}}
	l.running.Go(l.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		l.mu.Lock()
		l.closeAll()
		l.mu.Unlock()
		l.running.Wait()
	})
	return l
}

// url returns the URL of the database at db by way of the line.
func (l *line) url(t testing.TB, db string) string {
	t.Helper()
	u, err := url.Parse(db)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.listener.Addr().String()
	return u.String()
}

// cutAfter lets n more bytes through in way, and then closes all connections, once.
func (l *line) cutAfter(way direction, n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed, l.way, l.left, l.cut = true, way, n, false
}

// heal ends a cutAfter and reports whether it came to the cut.
func (l *line) heal() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.armed = false
	return l.cut
}

func (l *line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", l.addr)
		if err != nil {
			_ = client.Close()
			continue
		}
		l.mu.Lock()
		l.conns[client], l.conns[server] = true, true
		l.mu.Unlock()
		l.running.Go(func() { l.carry(server, client, toServer) })
		l.running.Go(func() { l.carry(client, server, toClient) })
	}
}

func (l *line) carry(to, from net.Conn, way direction) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		n, cut := l.pass(way, n)
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
		if cut {
			time.Sleep(2 * time.Millisecond) // what was let through arrives before the end does
			l.mu.Lock()
			l.closeAll()
			l.mu.Unlock()
			return
		}
	}
}

// pass returns how many of n bytes go through, and whether the line is then cut.
func (l *line) pass(way direction, n int) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.armed || way != l.way {
		return n, false
	}
	if int64(n) < l.left {
		l.left -= int64(n)
		return n, false
	}
	l.armed, l.cut = false, true
	return int(l.left), true
}

func (l *line) closeAll() {
	for c := range l.conns {
		_ = c.Close()
	}
	clear(l.conns)
}

// psql is a connection of somebody else.
type psql struct {
	t    testing.TB
	conn *pgx.Conn
}

func session(t testing.TB, db string) *psql {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return &psql{t, conn}
}

func (p *psql) exec(statements string) {
	p.t.Helper()
	if _, err := p.conn.PgConn().Exec(p.t.Context(), statements).ReadAll(); err != nil {
		p.t.Fatalf("%s: %v", statements, err)
	}
}

// waitFor waits until query counts something.
func waitFor(t testing.TB, db, query string) {
	t.Helper()
	for begin := time.Now(); sql(t, db, query) == "0"; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("%s: 0 for a long time", query)
		}
	}
}
