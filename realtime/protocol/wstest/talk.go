package wstest

import (
	"fmt"
	"io"
	"slices"
)

// talk is what most cases are: something is sent, something must come back, and the connection must end in one way.
type talk struct {
	offer string   // extensions
	send  []string // raw bytes, each one write
	chop  int      // bytes in one write instead; zero: as in send
	want  []got    // what must come, in this order

	// ends is the close code that must come after want. Zero: the client closes with 1000, and the server must answer
	// that. noCode: the client has sent a close frame without a code, which must be answered with one.
	ends int

	// ours says that the client sent a close frame, so that the one that comes is the answer and needs none.
	ours bool
}

const noCode = -1

func (t talk) run(o *Options) error {
	c, _, err := open(o, t.offer)
	if err != nil {
		return err
	}
	defer c.hangUp()
	wrote := make(chan error, 1)
	go func() { wrote <- t.write(c.c) }() // beside reading, for large messages come back while they go out
	read := t.read(c)
	c.hangUp()
	if err := <-wrote; err != nil && read == nil && t.ends == 0 {
		return fmt.Errorf("send: %w", err)
	}
	return read
}

func (t talk) write(w io.Writer) error {
	sends := t.send
	if t.ends == 0 {
		sends = append(slices.Clip(sends), frame(fin|opClose, closing(1000, "")))
	}
	for _, s := range sends {
		for t.chop > 0 && len(s) > t.chop {
			if _, err := io.WriteString(w, s[:t.chop]); err != nil {
				return fmt.Errorf("write: %w", err)
			}
			s = s[t.chop:]
		}
		if _, err := io.WriteString(w, s); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

func (t talk) read(c *conn) error {
	for _, want := range t.want {
		g, err := c.next()
		if err != nil {
			return fmt.Errorf("want %v: %w", want, err)
		}
		if g != want {
			return fmt.Errorf("got %v, want %v", g, want)
		}
	}
	g, err := c.next()
	if err != nil {
		return fmt.Errorf("want a close frame: %w", err)
	}
	if g.op != opClose {
		return fmt.Errorf("got %v, want a close frame", g)
	}
	code, wanted := noCode, t.ends
	if len(g.payload) >= 2 {
		code = int(g.payload[0])<<8 | int(g.payload[1])
	}
	if wanted == 0 {
		wanted = 1000
	}
	if code != wanted {
		return fmt.Errorf("closed with %d %q, want %d", code, g.payload[min(2, len(g.payload)):], wanted)
	}
	if t.ends != 0 && !t.ours {
		_, _ = io.WriteString(c.c, frame(fin|opClose, g.payload)) // a server may wait for it, or have hung up
	}
	return c.drained()
}

// echo is a talk of one message that must come back.
func echo(op byte, payload string) talk {
	return talk{send: []string{frame(fin|op, payload)}, want: []got{{op, payload}}}
}

// fails is a talk that the server must end with code.
func fails(code int, send ...string) talk { return talk{send: send, ends: code} }

// group collects cases.
type group struct {
	name  string
	cases []Case
}

func (g *group) add(name string, run func(*Options) error) {
	g.cases = append(g.cases, Case{Group: g.name, Name: name, run: run})
}

func (g *group) talk(name string, t talk) { g.add(name, t.run) }
