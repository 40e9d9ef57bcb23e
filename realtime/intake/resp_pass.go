package intake

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/internal/rediscmd"
	"kentongan/tenant"
)

// RedisDialer opens connections to the Redis to which commands are passed on. realtime/redis has it.
type RedisDialer interface {
	// Dial returns a connection that has signed in, in database 0 and RESP2. The caller closes it.
	Dial(ctx context.Context) (net.Conn, error)
}

// RESPPass says which commands, beside those that the door carries out itself, are passed on to a Redis, and for whom. The zero value
// passes nothing on.
type RESPPass struct {
	Redis RedisDialer // nil: there is none

	// Keys are the API keys whose clients may have commands passed on: "name", or "name@kitchen" for a key of one kitchen. Such a key
	// has to be named with its kitchen, for what is passed on reaches the keys of all.
	Keys []string

	// Commands are those that are passed on, in capitals; all must be in rediscmd. Nil means rediscmd.Cache.
	Commands []string
}

// The limits of passing on.
const (
	// respOwn is what our own keys in Redis begin with. Nobody reaches them through the door.
	respOwn = "kentongan:"

	// respAway is how long Redis may be silent while it owes answers, and how long a connection to it may take: a client of the app waits
	// 5 s for an answer, and shall have one that says what is wrong.
	respAway = 2 * time.Second

	// respRest is how long after a failed connection the same connection of the door does not try again: what a client had sent
	// by then fails at once, and not each command in its turn.
	respRest = time.Second

	// respAnswer bounds one answer of Redis, and respHeld those that wait for a client to read them.
	respAnswer = 16 << 20
	respHeld   = 8 << 20

	// respPassArgs is how many arguments a client may send whose commands are passed on: DEL of all keys of a tag may have very many.
	respPassArgs = 1 << 16

	// respTransaction is how long the rest of a refused transaction is kept from being carried out: as long as clients wait for an answer.
	respTransaction = 5 * time.Second
)

// commands returns what is passed on, by name.
func (p *RESPPass) commands() map[string]rediscmd.Command {
	names := p.Commands
	if names == nil {
		names = rediscmd.Cache()
	}
	all := map[string]rediscmd.Command{}
	for _, name := range names {
		command, ok := rediscmd.Find(name)
		if !ok {
			panic("intake: " + name + " cannot be passed on") // who configures it has to look at rediscmd
		}
		all[name] = command
	}
	return all
}

// permits reports whether who may have commands passed on.
func (p *RESPPass) permits(who *auth.Identity) bool {
	return p.Redis != nil && slices.Contains(p.Keys, respKeyName(who))
}

// respKeyName spells an API key as the configuration does.
func respKeyName(who *auth.Identity) string {
	if who.Tenant == tenant.Global {
		return who.Subject
	}
	return who.Subject + "@" + string(who.Tenant)
}

// passOn passes a command that the door does not know on to Redis, or answers why not.
func (c *respConn) passOn(name string, cmd respCommand) {
	args := cmd.args[1:]
	command, refusal := c.mayPass(name, args)
	if refusal == "" && cmd.long > 0 {
		refusal = c.tooLong(cmd.long)
	}
	if refusal != "" {
		c.door.counts.notPassed.Add(1)
		c.fail(refusal)
		return
	}
	l, err := c.connected()
	if err != nil {
		c.door.counts.passFailed.Add(1)
		why := "Redis cannot be reached"
		if refused, ok := errors.AsType[respRefusedError](err); ok {
			why = string(refused)
		}
		c.fail("ERR not ready: " + why + "; the command was not carried out")
		return
	}
	w := respWords{b: c.spelling[:0]}
	w.array(len(args) + 1)
	w.bulk(name) // and not as the client spells it: what is sent is what was looked at
	for _, a := range args {
		w.bulkOf(a)
	}
	if c.spelling = w.b; cap(w.b) > 64<<10 {
		c.spelling = nil // a burst does not keep its memory
	}
	r := &respReply{ask: true, cost: len(w.b)}
	c.add(r)
	c.mu.Lock()
	l.owe(r, command.Write)
	busy := c.busy
	c.mu.Unlock()
	c.wake(busy)
	if l.w.Available() < len(w.b) {
		c.stepAside()
		defer c.stepIn()
		l.arm()
	}
	if _, err := l.w.Write(w.b); err != nil {
		l.breakOff()
	}
}

// mayPass returns the command called name if it is passed on with args, or why it is refused.
func (c *respConn) mayPass(name string, args [][]byte) (command rediscmd.Command, refusal string) {
	pass := &c.door.opts.Pass
	quoted := strings.ToLower(name)
	if !pass.permits(c.who) {
		return command, fmt.Sprintf("ERR unknown command '%s': this door takes PUBLISH, SUBSCRIBE and what a connection needs; "+
			"point everything else at your Redis, %s", name, c.howToPass())
	}
	command, listed := c.door.passes[name]
	if !listed {
		if _, could := rediscmd.Find(name); could {
			return command, fmt.Sprintf("NOPERM '%s' is not passed on: add it to KENTONGAN_REDIS_DOOR_COMMANDS, or point it at your Redis",
				quoted)
		}
		if why := rediscmd.Refusal(name); why != "" {
			return command, fmt.Sprintf("NOPERM '%s' is never passed on, for %s: point it at your Redis", quoted, why)
		}
		return command, fmt.Sprintf("ERR unknown command '%s': this door neither carries it out nor passes it on; point it at your Redis",
			name)
	}
	switch reaches, err := command.Reaches(respOwn, args); {
	case err != nil:
		return command, fmt.Sprintf("ERR wrong number of arguments for '%s' command", quoted)
	case reaches:
		return command, fmt.Sprintf("NOPERM '%s' is not passed on: it may reach keys that begin with %s, which are not the app's",
			quoted, respOwn)
	}
	return command, ""
}

// howToPass says how commands of this client would be passed on.
func (c *respConn) howToPass() string {
	switch {
	case c.door.opts.Pass.Redis == nil:
		return "for this server has none to pass it on to"
	case c.who.Tenant != tenant.Global:
		return "or name the key as " + respKeyName(c.who) + " in KENTONGAN_REDIS_DOOR_PASS: it then reaches the keys of all kitchens there"
	default:
		return "or name the key " + respKeyName(c.who) + " in KENTONGAN_REDIS_DOOR_PASS"
	}
}

// tooLong is the answer to a command with an argument of n bytes, which was not kept.
func (c *respConn) tooLong(n int) string {
	return fmt.Sprintf("ERR too large: an argument has %d bytes, a command may have %d", n, c.door.maxCommand())
}
