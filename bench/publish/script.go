package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Commands are commands of a Redis client, in the bytes in which they are sent.
type Commands struct {
	text  []byte
	count int
}

// Len returns how many there are.
func (c *Commands) Len() int { return c.count }

func (c *Commands) add(arguments ...string) {
	c.text = append(c.text, '*')
	c.text = strconv.AppendInt(c.text, int64(len(arguments)), 10)
	c.text = append(c.text, "\r\n"...)
	for _, a := range arguments {
		c.text = append(c.text, '$')
		c.text = strconv.AppendInt(c.text, int64(len(a)), 10)
		c.text = append(append(append(c.text, "\r\n"...), a...), "\r\n"...)
	}
	c.count++
}

// Record returns the calls that clients of the Redis at address make, while act is done, of the script to which they send the most, in
// their order. MONITOR tells them, and makes Redis slower meanwhile.
func Record(ctx context.Context, address string, act func() error) (*Commands, error) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback: it connects at once or not at all
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("*1\r\n$7\r\nMONITOR\r\n")); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	lines := bufio.NewReaderSize(conn, 1<<16)
	if said, err := lines.ReadString('\n'); err != nil || said != "+OK\r\n" {
		return nil, fmt.Errorf("record: redis says %q, %w", said, err)
	}
	done := make(chan recorded, 1)
	go func() { done <- record(lines) }()
	err = act()
	if err == nil {
		// MONITOR tells all commands in their order: this is the last one.
		_, err = call(ctx, address, "ECHO", endOfRecording).ToString()
	}
	if err != nil {
		_ = conn.Close() // or the end would be waited for
	}
	const patience = time.Minute // a recording is told long after what it is of
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	got := <-done
	if err := errors.Join(err, got.err); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if got.scripts[got.largest] == nil {
		return nil, errors.New("record: no script was called")
	}
	return got.scripts[got.largest], nil
}

// recorded is what MONITOR has told.
type recorded struct {
	scripts map[string]*Commands // calls of each script, by its SHA
	largest string               // the one with the most bytes
	err     error
}

const endOfRecording = "kentongan-bench: end of the recording"

func record(lines *bufio.Reader) recorded {
	got := recorded{scripts: map[string]*Commands{}}
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			got.err = err
			return got
		}
		arguments, err := monitored(line)
		if err != nil {
			got.err = err
			return got
		}
		switch {
		case len(arguments) == 2 && arguments[1] == endOfRecording:
			return got
		case len(arguments) > 2 && strings.EqualFold(arguments[0], "EVALSHA"):
			sha := arguments[1]
			if got.scripts[sha] == nil {
				got.scripts[sha] = &Commands{}
			}
			got.scripts[sha].add(arguments...)
			if largest := got.scripts[got.largest]; largest == nil || len(got.scripts[sha].text) > len(largest.text) {
				got.largest = sha
			}
		}
	}
}

// monitored reads a line of MONITOR, like `+1700000000.1 [0 127.0.0.1:5] "SET" "a" "b"`. Of what a script has done itself it returns
// nothing: the script will do it again.
func monitored(line string) ([]string, error) {
	_, rest, ok := strings.Cut(line, "[")
	source, rest, ok2 := strings.Cut(rest, "] ")
	if !ok || !ok2 {
		return nil, fmt.Errorf("odd line %.80q", line)
	}
	if strings.HasSuffix(source, " lua") {
		return nil, nil
	}
	var arguments []string
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimPrefix(rest, " ") {
		quoted, err := strconv.QuotedPrefix(rest)
		if err != nil {
			return nil, fmt.Errorf("odd argument in %.80q", line)
		}
		plain, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("odd argument %.80q", quoted)
		}
		arguments, rest = append(arguments, plain), rest[len(quoted):]
	}
	return arguments, nil
}

// Replay sends commands on one connection as fast as Redis takes them, and returns how long it took until the last was answered. An
// answer that is an error is an error.
func Replay(address string, c *Commands) (time.Duration, error) {
	conn, err := net.Dial("tcp", address) //nolint:noctx // loopback: it connects at once or not at all
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	defer func() { _ = conn.Close() }()
	started, answered := time.Now(), make(chan error, 1)
	go func() {
		answers := bufio.NewReaderSize(conn, 1<<16)
		for range c.count {
			if err := skipAnswer(answers); err != nil {
				answered <- err
				return
			}
		}
		answered <- nil
	}()
	_, err = conn.Write(c.text)
	if err != nil {
		_ = conn.Close() // or the answers would be waited for
	}
	if err := errors.Join(err, <-answered); err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	return time.Since(started), nil
}

// skipAnswer reads one answer of RESP2, whatever it is, unless it is an error.
func skipAnswer(r *bufio.Reader) error {
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	size, _ := strconv.Atoi(strings.TrimSpace(line[1:])) // of an answer without a size it does not matter
	switch line[0] {
	case '-':
		return fmt.Errorf("redis says %q", line)
	case '$':
		if size >= 0 {
			_, err = r.Discard(size + len("\r\n"))
		}
		return err
	case '*':
		for range size {
			if err := skipAnswer(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Snapshot is all keys of a Redis.
type Snapshot map[string]string

// Save reads all keys of the Redis at address. It is meant for a few.
func Save(ctx context.Context, address string) (Snapshot, error) {
	names, err := call(ctx, address, "KEYS", "*").AsStrSlice()
	if err != nil {
		return nil, fmt.Errorf("save keys: %w", err)
	}
	s := Snapshot{}
	for _, name := range names {
		value, err := call(ctx, address, "DUMP", name).ToString()
		if err != nil && !rueidis.IsRedisNil(err) { // it may have expired since
			return nil, fmt.Errorf("save key %s: %w", name, err)
		}
		if err == nil {
			s[name] = value
		}
	}
	return s, nil
}

// Restore empties the Redis at address and gives it the keys of s, which do not expire any more.
func (s Snapshot) Restore(ctx context.Context, address string) error {
	if err := Flush(address); err != nil {
		return err
	}
	for name, value := range s {
		if err := call(ctx, address, "RESTORE", name, "0", value).Error(); err != nil {
			return fmt.Errorf("restore key %s: %w", name, err)
		}
	}
	return nil
}

// Calls returns how often the Redis at address has executed a command (in lower case) since its start, scripts' own calls included.
func Calls(ctx context.Context, address, command string) (int, error) {
	told, err := call(ctx, address, "INFO", "commandstats").ToString()
	if err != nil {
		return 0, fmt.Errorf("ask redis for its counts: %w", err)
	}
	_, rest, ok := strings.Cut(told, "cmdstat_"+command+":calls=")
	if !ok {
		return 0, nil
	}
	digits, _, _ := strings.Cut(rest, ",")
	return strconv.Atoi(digits)
}

// call sends one command on a connection of its own.
func call(ctx context.Context, address string, arguments ...string) rueidis.RedisResult {
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		return rueidis.NewErrorResult(err)
	}
	defer client.Close()
	return client.Do(ctx, client.B().Arbitrary(arguments...).Build())
}
