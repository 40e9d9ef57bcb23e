package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"kentongan/chaos/check"
)

// respDoor sends one command an item on one connection, and waits for its answer.
type respDoor struct {
	where    func(ctx context.Context) (string, error)
	password string
	command  func(it Item) []string
	meaning  func(reply string) check.Outcome
	repeats  bool

	conn  net.Conn
	lines *bufio.Reader
}

// commandTimeout is that of the app's own Redis client.
const commandTimeout = 5 * time.Second

// connectTimeout bounds what comes before the first command.
const connectTimeout = 2 * time.Second

// Plain returns the door of an app that publishes with PUBLISH to the Redis that where names. Redis acknowledges nothing but
// that it has sent the message to those who listen.
func Plain(where func(ctx context.Context) (string, error)) Door {
	return &respDoor{where: where, command: publishCommand, meaning: func(reply string) check.Outcome {
		if strings.HasPrefix(reply, ":") {
			return check.Sent
		}
		return check.Refused
	}}
}

// Redis returns the Redis-protocol door of any of several gateways, with an API key.
func Redis(nodes func() []string, key string, first int) Door {
	turn := first
	where := func(context.Context) (string, error) {
		all := nodes()
		turn++ // a new connection is made because the last one broke
		return all[turn%len(all)], nil
	}
	return &respDoor{where: where, password: key, command: publishCommand, meaning: func(reply string) check.Outcome {
		switch {
		case strings.HasPrefix(reply, ":"):
			return check.Acked
		case strings.Contains(reply, "it may or may not have been stored"):
			return check.Unknown
		}
		return check.Refused
	}}
}

func publishCommand(it Item) []string { return []string{"PUBLISH", it.Channel, string(it.Data)} }

// Stream returns the door of an app that appends to the durable stream, called key, in the Redis that where names.
func Stream(key string, where func(ctx context.Context) (string, error)) Door {
	return &respDoor{
		where: where, repeats: true,
		command: func(it Item) []string {
			return []string{"XADD", key, "*", "channel", it.Channel, "data", string(it.Data), "id", it.Key}
		},
		meaning: func(reply string) check.Outcome {
			if strings.HasPrefix(reply, "$") {
				return check.Acked
			}
			return check.Unknown // and is repeated: Redis refuses for a time only, while it loads or is a replica
		},
	}
}

func (d *respDoor) Repeats() bool { return d.repeats }

func (d *respDoor) Close() {
	if d.conn != nil {
		_ = d.conn.Close()
		d.conn = nil
	}
}

func (d *respDoor) Publish(ctx context.Context, items []Item) ([]Result, bool) {
	results := make([]Result, len(items))
	for i, it := range items {
		if d.conn == nil {
			if d.connect(ctx) != nil {
				d.Close()
				return results, i > 0
			}
		}
		reply, err := d.ask(ctx, commandTimeout, d.command(it)...)
		if err != nil {
			d.Close() // or the next answer would be taken for that of another command
			return results, true
		}
		results[i].Outcome = d.meaning(reply)
		if strings.HasPrefix(reply, "-") {
			d.Close() // another gateway, or the new primary, may be better off
		}
	}
	return results, true
}

func (d *respDoor) connect(ctx context.Context) error {
	address, err := d.where(ctx)
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	d.conn, d.lines = conn, bufio.NewReader(conn)
	hello := []string{"PING"}
	if d.password != "" {
		hello = []string{"AUTH", d.password}
	}
	reply, err := d.ask(ctx, connectTimeout, hello...)
	if err == nil && !strings.HasPrefix(reply, "+") {
		err = fmt.Errorf("%s: %s", hello[0], reply)
	}
	return err
}

// ask sends a command and returns the first line of its answer.
func (d *respDoor) ask(ctx context.Context, patience time.Duration, args ...string) (string, error) {
	conn := d.conn // the end of ctx may come when the door has let go of it
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()
	return Ask(conn, d.lines, args...)
}

// Ask sends one command over a connection to a Redis and returns its answer: the line of a simple one ("+OK", ":3", "-ERR …"),
// "$" and the text of a string, "*" and the elements, one a line, of a list of strings.
func Ask(w io.Writer, r *bufio.Reader, args ...string) (string, error) {
	text := []byte("*" + strconv.Itoa(len(args)) + "\r\n")
	for _, a := range args {
		text = append(text, "$"+strconv.Itoa(len(a))+"\r\n"...)
		text = append(append(text, a...), "\r\n"...)
	}
	if _, err := w.Write(text); err != nil {
		return "", err
	}
	return answer(r)
}

func answer(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimSuffix(line, "\r\n")
	if line == "" {
		return "", errors.New("redis: empty answer")
	}
	n, err := strconv.Atoi(line[1:])
	switch {
	case line[0] != '$' && line[0] != '*':
		return line, nil
	case err != nil || n > 1<<20:
		return "", fmt.Errorf("redis: bad length %q", line)
	case n < 0:
		return line[:1], nil
	case line[0] == '$':
		data := make([]byte, n+2)
		if _, err := io.ReadFull(r, data); err != nil {
			return "", err
		}
		return "$" + string(data[:n]), nil
	}
	var all strings.Builder
	all.WriteByte('*')
	for range n {
		one, err := answer(r)
		if err != nil {
			return "", err
		}
		all.WriteString(strings.TrimLeft(one, "$:+") + "\n")
	}
	return all.String(), nil
}
