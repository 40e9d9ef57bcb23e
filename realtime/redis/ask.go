package redis

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// asker asks a server a few things in RESP2, before the connection gets its job. What is needed of a library for that would have
// to be taken out of its hands again.
type asker struct {
	conn  net.Conn
	r     *bufio.Reader
	limit time.Duration // of one round trip
}

func newAsker(conn net.Conn, limit time.Duration) *asker {
	return &asker{conn: conn, r: bufio.NewReader(conn), limit: limit}
}

// reply is one answer: a text, a number as text, or a list.
type reply struct {
	refusal string // what the server says instead of an answer; empty: it answers
	none    bool   // a null
	text    string
	list    []reply
}

// ask sends the commands at once and returns their answers.
func (a *asker) ask(commands ...[]string) ([]reply, error) {
	var out []byte
	for _, c := range commands {
		out = appendCommand(out, c)
	}
	if err := a.conn.SetDeadline(time.Now().Add(a.limit)); err != nil {
		return nil, err
	}
	if _, err := a.conn.Write(out); err != nil {
		return nil, err
	}
	replies := make([]reply, len(commands))
	for i := range replies {
		var err error
		if replies[i], err = a.read(0); err != nil {
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				return nil, fmt.Errorf("no answer within %s", a.limit)
			}
			return nil, err
		}
	}
	return replies, nil
}

// signIn sends the credentials, if there are any.
func (a *asker) signIn(username, password string) error {
	command := []string{"AUTH", username, password}
	switch {
	case username == "" && password == "":
		return nil
	case username == "":
		command = []string{"AUTH", password}
	}
	replies, err := a.ask(command)
	if err != nil {
		return err
	}
	if replies[0].refusal != "" {
		return errors.New("AUTH: " + replies[0].refusal)
	}
	return nil
}

// finish hands the connection over to its job.
func (a *asker) finish() error {
	if a.r.Buffered() > 0 {
		return errProtocol // an answer to nothing: from here on no answer could be trusted
	}
	return a.conn.SetDeadline(time.Time{})
}

func appendCommand(out []byte, args []string) []byte {
	out = append(strconv.AppendInt(append(out, '*'), int64(len(args)), 10), '\r', '\n')
	for _, s := range args {
		out = append(strconv.AppendInt(append(out, '$'), int64(len(s)), 10), '\r', '\n')
		out = append(append(out, s...), '\r', '\n')
	}
	return out
}

// The bounds of what is asked for here: INFO has some KB, CLUSTER NODES 150 bytes for each node; a Cluster has no more ranges than slots.
const (
	maxAnswerBytes = 256 << 10
	maxAnswerList  = 16384
	maxAnswerDepth = 4
)

func (a *asker) read(depth int) (reply, error) {
	line, err := a.r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = errProtocol
		}
		return reply{}, err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return reply{}, errProtocol
	}
	kind, rest := line[0], string(line[1:len(line)-2])
	switch kind {
	case '+', ':':
		return reply{text: rest}, nil
	case '-':
		return reply{refusal: rest}, nil
	}
	n, err := strconv.Atoi(rest)
	switch {
	case err != nil, kind != '$' && kind != '*', depth > maxAnswerDepth:
		return reply{}, errProtocol
	case n < 0:
		return reply{none: true}, nil
	case kind == '$':
		return a.readText(n)
	case n > maxAnswerList:
		return reply{}, errProtocol
	}
	r := reply{}
	for range n {
		one, err := a.read(depth + 1)
		if err != nil {
			return reply{}, err
		}
		r.list = append(r.list, one)
	}
	return r, nil
}

func (a *asker) readText(n int) (reply, error) {
	if n > maxAnswerBytes {
		return reply{}, errProtocol
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(a.r, text); err != nil {
		return reply{}, err
	}
	return reply{text: string(text[:n])}, nil
}

// field returns what INFO says of name.
func (r reply) field(name string) string {
	for line := range strings.Lines(r.text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
