package intake

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"kentongan/auth"
)

// respVersion is the version of Redis whose protocol this is: clients look at it to know what they may send.
const respVersion = "7.2.0"

// respVerb is one command of the Redis door.
type respVerb struct {
	name        string
	least, most int  // arguments behind the name; most -1: any number
	strangers   bool // before signing in
	listening   bool // in RESP2 while subscribed
	do          func(c *respConn, args [][]byte)
}

// respVerbs is every command that is understood. It is a function, for the commands refer to it.
func respVerbs() map[string]respVerb {
	verbs := map[string]respVerb{}
	for _, v := range []respVerb{
		{"AUTH", 1, 2, true, false, (*respConn).signIn},
		{"HELLO", 0, -1, true, false, (*respConn).hello},
		{"QUIT", 0, -1, true, true, (*respConn).leave},
		{"RESET", 0, 0, true, true, (*respConn).reset},
		{"PING", 0, 1, false, true, (*respConn).ping},
		{"ECHO", 1, 1, false, false, func(c *respConn, a [][]byte) { c.answer(func(w *respWords) { w.bulk(string(a[0])) }) }},
		{"SELECT", 1, 1, false, false, (*respConn).choose},
		{"INFO", 0, -1, false, false, (*respConn).info},
		{"CLIENT", 1, -1, false, false, (*respConn).client},
		{"COMMAND", 0, -1, false, false, (*respConn).commands},
		{"PUBLISH", 2, 2, false, false, (*respConn).publish},
		{"SPUBLISH", 2, 2, false, false, (*respConn).publish},
		{"SUBSCRIBE", 1, -1, false, true, (*respConn).subscribe},
		{"UNSUBSCRIBE", 0, -1, false, true, (*respConn).unsubscribe},
		{"PSUBSCRIBE", 1, -1, false, true, (*respConn).psubscribe},
		{"PUNSUBSCRIBE", 0, -1, false, true, (*respConn).punsubscribe},
		{"MULTI", 0, 0, false, false, (*respConn).multi},
		{"EXEC", 0, 0, false, false, func(c *respConn, _ [][]byte) { c.fail("ERR EXEC without MULTI") }},
		{"DISCARD", 0, 0, false, false, func(c *respConn, _ [][]byte) { c.fail("ERR DISCARD without MULTI") }},
	} {
		verbs[v.name] = v
	}
	return verbs
}

// carryOut does what cmd says, or answers why not.
func (c *respConn) carryOut(cmd respCommand) {
	verb, known := c.door.verbs[string(cmd.args[0])]
	name := verb.name
	if !known { // as all clients that we know spell it, it is
		name = strings.ToUpper(respShort(cmd.args[0]))
		verb, known = c.door.verbs[name]
	}
	args := cmd.args[1:]
	switch {
	case c.who == nil && !verb.strangers:
		c.fail("NOAUTH Authentication required.")
	case !verb.strangers && c.inRefused(name):
	case known && (len(args) < verb.least || verb.most >= 0 && len(args) > verb.most):
		c.fail(fmt.Sprintf("ERR wrong number of arguments for '%s' command", strings.ToLower(name)))
	case !c.three && !verb.listening && c.subscriptions() > 0:
		c.fail(fmt.Sprintf("ERR Can't execute '%s': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
			strings.ToLower(name)))
	case !known:
		c.passOn(name, cmd)
	case cmd.long > 0:
		c.failTooLong(name, cmd.long)
	case verb.listening:
		c.stepAside() // it may wait for the engine
		c.deliver()
		c.flush()
		verb.do(c, args)
	default:
		verb.do(c, args)
	}
}

// failTooLong answers a command of the door with an argument of n bytes, which was not kept.
func (c *respConn) failTooLong(name string, n int) {
	if name != "PUBLISH" && name != "SPUBLISH" {
		c.fail(c.tooLong(n))
		return
	}
	c.door.counts.refused.Add(1)
	c.fail(fmt.Sprintf("ERR too large: an argument has %d bytes, a publication may have %d", n, c.door.opts.MaxBytes))
}

// multi is MULTI. A transaction of which a part goes to the engine and a part to Redis could not be kept together, so there are none;
// and nothing of one is carried out, for half of it is the last thing that the client wants.
func (c *respConn) multi([][]byte) {
	c.refused = time.Now().Add(respTransaction)
	c.fail("ERR MULTI is not taken: this door has no transactions, and carries nothing of this one out; point them at your Redis")
}

// inRefused answers a command that belongs to a transaction that was refused, and reports whether it did. A client that gives up
// a transaction without a word is let go on after the time in which a whole one comes.
func (c *respConn) inRefused(name string) bool {
	if c.refused.IsZero() {
		return false
	}
	over := time.Now().After(c.refused)
	if over || name == "EXEC" || name == "DISCARD" {
		c.refused = time.Time{}
	}
	switch {
	case over:
		return false
	case name == "EXEC":
		c.fail("EXECABORT Transaction discarded: this door has no transactions")
	case name == "DISCARD":
		c.ok()
	case name == "MULTI":
		c.fail("ERR MULTI calls can not be nested")
	default:
		c.fail(fmt.Sprintf("ERR '%s' was not carried out: it belongs to a transaction, which this door does not take",
			strings.ToLower(name)))
	}
	return true
}

// respShort is b as text for an answer or a log line: printable, and no longer than a name of ours.
func respShort(b []byte) string {
	const most = 64
	cut := b[:min(len(b), most)]
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\'' {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(cut), "?"))
}

// signIn is AUTH key, or AUTH user key, where the user is "default" or the name of the key.
func (c *respConn) signIn(args [][]byte) {
	user := "default"
	if len(args) == 2 {
		user = string(args[0])
	}
	if c.admit(user, string(args[len(args)-1])) {
		c.ok()
	}
}

// peer is who is at the other end; not valid where it has no address.
func (c *respConn) peer() netip.Addr {
	if tcp, ok := c.nc.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}

// admit checks a key; if it is wrong, it answers and returns false.
func (c *respConn) admit(user, key string) bool {
	id, err := c.door.opts.Keys.APIKey(c.peer(), key)
	if err == nil && user != "default" && user != id.Subject {
		err = auth.ErrBadCredential
	}
	switch {
	case errors.Is(err, auth.ErrTooManyGuesses):
		c.door.counts.denied.Add(1)
		c.fail("ERR too many wrong keys came from your address: wait a minute")
		c.quit = true
		return false
	case err != nil:
		c.door.counts.denied.Add(1)
		c.fail("WRONGPASS invalid username-password pair or user is disabled.")
		c.wrong++
		c.quit = c.wrong >= respTries
		return false
	case c.who != nil && c.who != id && c.subscriptions() > 0:
		c.fail("ERR unsubscribe from everything before you sign in with another key")
		return false
	case c.who == nil:
		c.door.known()
		c.door.opts.Log.Debug("signed in at the redis door", "client", c.id, "identity", slog.AnyValue(id))
	}
	if c.who != id {
		c.hangUpWay()
	}
	c.who, c.wrong = id, 0
	args := c.door.opts.MaxChannels + respStrangerArgs
	if c.door.opts.Pass.permits(id) {
		args = max(args, respPassArgs)
	}
	c.read.trust(args, c.door.maxCommand())
	return true
}

// maxCommand is how many bytes a command may have: a publication, a thousand names, and room to spare.
func (d *RESP) maxCommand() int { return d.opts.MaxBytes + 512<<10 }

// hello is HELLO [version [AUTH user key] [SETNAME name]]. It changes nothing unless all of it is right.
func (c *respConn) hello(args [][]byte) {
	three, name := c.three, c.name
	if len(args) > 0 {
		switch string(args[0]) {
		case "2", "3":
			three = string(args[0]) == "3"
		default:
			c.fail("NOPROTO unsupported protocol version")
			return
		}
		args = args[1:]
	}
	var user, key []byte
	for len(args) > 0 {
		switch option := strings.ToUpper(string(args[0])); {
		case option == "AUTH" && len(args) >= 3:
			user, key, args = args[1], args[2], args[3:]
		case option == "SETNAME" && len(args) >= 2:
			name, args = string(args[1]), args[2:]
		default:
			c.fail(fmt.Sprintf("ERR Syntax error in HELLO option '%s'", respShort(args[0])))
			return
		}
	}
	switch {
	case !respClientName(name):
		c.fail(respBadName)
		return
	case key != nil && !c.admit(string(user), string(key)):
		return
	case c.who == nil:
		c.fail("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> " +
			"option can be used to authenticate the client and select the RESP protocol version at the same time")
		return
	}
	if three != c.three {
		c.hangUpWay()
	}
	c.heard.Lock() // what is heard is written in the protocol of the moment
	c.three, c.name = three, name
	c.heard.Unlock()
	c.answer(func(w *respWords) {
		w.pairs(7)
		w.bulk("server")
		w.bulk("redis")
		w.bulk("version")
		w.bulk(respVersion)
		w.bulk("proto")
		w.number(int64(2 + respBit(three)))
		w.bulk("id")
		w.number(c.id)
		w.bulk("mode")
		w.bulk("standalone")
		w.bulk("role")
		w.bulk("master")
		w.bulk("modules")
		w.array(0)
	})
}

func respBit(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *respConn) leave([][]byte) {
	c.ok()
	c.quit = true
}

// reset makes the connection as it was at its beginning.
func (c *respConn) reset([][]byte) {
	c.unlisten()
	c.hangUpWay()
	if c.who != nil {
		c.door.stranger()
	}
	c.who, c.three, c.name, c.db, c.refused = nil, false, "", 0, time.Time{}
	c.read.distrust()
	c.signInBy = time.Now().Add(c.door.opts.SignInWithin)
	c.answer(func(w *respWords) { w.simple("RESET") })
}

// ping answers with an array in RESP2 while subscribed, for there a plain answer could not be told from a message.
func (c *respConn) ping(args [][]byte) {
	c.answer(func(w *respWords) {
		text := ""
		if len(args) > 0 {
			text = string(args[0])
		}
		switch {
		case !c.three && c.subscriptions() > 0:
			w.array(2)
			w.bulk("pong")
			w.bulk(text)
		case len(args) > 0:
			w.bulk(text)
		default:
			w.simple("PONG")
		}
	})
}

// choose is SELECT. There are no databases here, but where commands are passed on to, and Redis says then whether it has this one.
func (c *respConn) choose(args [][]byte) {
	n, err := strconv.ParseUint(string(args[0]), 10, 31)
	if err != nil || n > 16383 {
		c.fail("ERR DB index is out of range")
		return
	}
	if int(n) != c.db {
		c.hangUpWay()
		c.db = int(n)
	}
	c.ok()
}

// info says what clients look for before they call a connection ready.
func (c *respConn) info([][]byte) {
	c.answer(func(w *respWords) {
		w.bulk(fmt.Sprintf("# Server\r\nredis_version:%s\r\nserver_name:kentongan\r\nredis_mode:standalone\r\n\r\n"+
			"# Clients\r\nconnected_clients:%d\r\nmaxclients:%d\r\n\r\n# Persistence\r\nloading:0\r\n\r\n"+
			"# Replication\r\nrole:master\r\nconnected_slaves:0\r\n", respVersion, c.door.Stats().Connections, c.door.opts.MaxConnections))
	})
}

const respBadName = "ERR Client names cannot contain spaces, newlines or special characters."

// respClientName reports whether a client may call itself s.
func respClientName(s string) bool {
	return len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r < '!' || r > '~' })
}

// client is CLIENT …, as far as it is about the caller itself.
func (c *respConn) client(args [][]byte) {
	word := strings.ToUpper(string(args[0]))
	switch {
	case word == "SETINFO" && len(args) == 3, word == "NO-EVICT" && len(args) == 2, word == "NO-TOUCH" && len(args) == 2:
		c.ok()
	case word == "SETNAME" && len(args) == 2:
		if !respClientName(string(args[1])) {
			c.fail(respBadName)
			return
		}
		c.name = string(args[1])
		c.ok()
	case word == "GETNAME" && len(args) == 1:
		c.answer(func(w *respWords) {
			if c.name == "" {
				w.null()
				return
			}
			w.bulk(c.name)
		})
	case word == "ID" && len(args) == 1:
		c.answer(func(w *respWords) { w.number(c.id) })
	case word == "LIST" || word == "INFO" && len(args) == 1:
		c.answer(func(w *respWords) {
			w.bulk(fmt.Sprintf("id=%d addr=%s name=%s age=%d db=0 sub=%d psub=%d resp=%d user=%s\n", c.id, c.nc.RemoteAddr(), c.name,
				int(time.Since(c.since).Seconds()), len(c.channels), len(c.patterns), 2+respBit(c.three), c.who.Subject))
		})
	default:
		c.fail(fmt.Sprintf("ERR unknown subcommand '%s': this door knows CLIENT SETINFO, SETNAME, GETNAME, ID, LIST, INFO",
			respShort(args[0])))
	}
}

// commands is COMMAND: interactive clients ask for it, and can do without an answer in full.
func (c *respConn) commands(args [][]byte) {
	word := ""
	if len(args) > 0 {
		word = strings.ToUpper(string(args[0]))
	}
	names := slices.Sorted(maps.Keys(c.door.verbs))
	c.answer(func(w *respWords) {
		switch word {
		case "COUNT":
			w.number(int64(len(names)))
		case "DOCS":
			w.pairs(0)
		case "LIST":
			w.array(len(names))
			for _, name := range names {
				w.bulk(strings.ToLower(name))
			}
		default:
			w.array(0)
		}
	})
}
