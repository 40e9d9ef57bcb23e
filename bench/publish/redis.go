package publish

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// redisDoor pipelines PUBLISH on one connection. A goroutine reads the replies, so that Redis never waits for us.
type redisDoor struct {
	conn    net.Conn
	batch   []byte
	sent    int
	replies chan replies // one value, when the connection's replies end
}

type replies struct {
	count int
	err   error // the first reply that is an error
}

// Redis opens a Door to the Redis at address, or to a server that speaks its protocol; with a password, unless that is
// empty. Flush does not wait for replies; Close does.
func Redis(address, password string) (Door, error) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback: it connects at once or not at all
	if err != nil {
		return nil, fmt.Errorf("connect to redis: %w", err)
	}
	if password != "" {
		if err := authenticate(conn, password); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	d := &redisDoor{conn: conn, replies: make(chan replies, 1)}
	go func() { d.replies <- readReplies(conn) }()
	return d, nil
}

func authenticate(conn net.Conn, password string) error {
	if _, err := fmt.Fprintf(conn, "*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n", len(password), password); err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	const ok = "+OK\r\n"
	answer := make([]byte, len(ok)) // and not a byte more, which would be of the replies
	if _, err := io.ReadFull(conn, answer); err != nil {
		return fmt.Errorf("authenticate: %w", err)
	}
	if string(answer) != ok {
		return fmt.Errorf("authenticate: the server says %q …", answer)
	}
	return nil
}

func (d *redisDoor) Add(tenant int, text []byte) {
	channel := Channel(tenant)
	d.batch = append(d.batch, "*3\r\n$7\r\nPUBLISH\r\n$"...)
	d.batch = strconv.AppendInt(d.batch, int64(len(channel)), 10)
	d.batch = append(d.batch, "\r\n"...)
	d.batch = append(d.batch, channel...)
	d.batch = append(d.batch, "\r\n$"...)
	d.batch = strconv.AppendInt(d.batch, int64(len(text)), 10)
	d.batch = append(d.batch, "\r\n"...)
	d.batch = append(d.batch, text...)
	d.batch = append(d.batch, "\r\n"...)
	d.sent++
}

func (d *redisDoor) Flush() error {
	_, err := d.conn.Write(d.batch)
	d.batch = d.batch[:0]
	return err
}

// Close ends our side; Redis answers what it has, and ends its side.
func (d *redisDoor) Close() error {
	var err error
	if half, ok := d.conn.(*net.TCPConn); ok {
		err = half.CloseWrite()
	}
	got := <-d.replies
	err = errors.Join(err, got.err, d.conn.Close())
	if err == nil && got.count != d.sent {
		err = fmt.Errorf("redis answered %d of %d publications", got.count, d.sent)
	}
	return err
}

// readReplies counts integers until the connection ends.
func readReplies(conn net.Conn) replies {
	var got replies
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if text := lines.Text(); strings.HasPrefix(text, ":") {
			got.count++
		} else if got.err == nil {
			got.err = fmt.Errorf("redis says %q", text)
		}
	}
	return got
}

// Flush empties the Redis at address, so that a round does not begin with the history of the one before.
func Flush(address string) error {
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback: it connects at once or not at all
	if err != nil {
		return fmt.Errorf("connect to redis: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("*1\r\n$8\r\nFLUSHALL\r\n")); err != nil {
		return fmt.Errorf("flush redis: %w", err)
	}
	said, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && said != "+OK\r\n" {
		err = fmt.Errorf("it says %q", said)
	}
	if err != nil {
		return fmt.Errorf("flush redis: %w", err)
	}
	return nil
}

// linesDoor writes "TENANT TEXT" lines to the floor.
type linesDoor struct {
	conn  net.Conn
	batch []byte
}

// Lines opens a Door to the floor's port for lines. Nothing is acknowledged.
func Lines(address string) (Door, error) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback: it connects at once or not at all
	if err != nil {
		return nil, fmt.Errorf("connect to floor: %w", err)
	}
	return &linesDoor{conn: conn}, nil
}

func (d *linesDoor) Add(tenant int, text []byte) {
	d.batch = append(append(d.batch, Tenant(tenant)...), ' ')
	d.batch = append(append(d.batch, text...), '\n')
}

func (d *linesDoor) Flush() error {
	_, err := d.conn.Write(d.batch)
	d.batch = d.batch[:0]
	return err
}

func (d *linesDoor) Close() error { return d.conn.Close() }
