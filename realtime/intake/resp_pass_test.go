package intake_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"kentongan/internal/rediscmd"
	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/intake"
	"kentongan/realtime/redis"
)

// passTo has the door pass commands on to the Redis at addr, for the key of all kitchens.
func passTo(t testing.TB, addr string) func(*intake.RESPOptions) {
	t.Helper()
	p, err := redis.NewPassage(redis.Options{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return func(o *intake.RESPOptions) { o.Pass = intake.RESPPass{Redis: p, Keys: []string{"all"}} }
}

// dialRedis speaks to a Redis itself.
func dialRedis(t testing.TB, addr string) *respClient {
	t.Helper()
	return (&respHouse{addr: addr}).dial(t)
}

func TestPassOn(t *testing.T) {
	addr := testenv.Redis(t)
	h := openDoor(t, passTo(t, addr))
	c := h.signedIn(t, keyOfAll)
	for _, row := range []struct{ answer, command string }{
		{"null", "GET a"},
		{"+OK", "set a 1 EX 100"},
		{"1", "GET a"},
		{":100", "TTL a"},
		{":1", "SADD bergizi:tag:k1:production a"},
		{"*[a]", "SMEMBERS bergizi:tag:k1:production"},
		{":2", "HSET h a 1 b 2"},
		{"*[a 1 b 2]", "HGETALL h"},
		{"*[1 null]", "MGET a none"},
		{"-WRONGTYPE …", "INCR h"},
		{"-ERR wrong number of arguments for 'get' command", "GET"},
		{"-ERR wrong number of arguments for 'set' command", "SET a"}, // it has its key, and Redis says the rest
		{":0", "PUBLISH updates:k1 1"},
		{"+OK", "SELECT 2"},
		{"null", "GET a"},
		{"+OK", "SET a two"},
		{":2", "HSET h a 1 b 2"},
		{"%[server…", "HELLO 3"},
		{"%[a 1 b 2]", "HGETALL h"},
		{"_", "GET none"},
		{"+OK", "SELECT 0"},
		{"%[a 1 b 2]", "HGETALL h"},
		{"*[server…", "HELLO 2"},
		{"*[a 1 b 2]", "HGETALL h"},
		{"+OK", "SELECT 99"},
		{"-ERR not ready: Redis answers SELECT 99 with ERR DB index is out of range…", "GET a"},
		{"+OK", "SELECT 2"},
	} {
		c.want(row.answer, strings.Fields(row.command)...)
	}
	direct := dialRedis(t, addr)
	direct.want("1", "GET", "a")
	direct.want("+OK", "SELECT", "2")
	direct.want("two", "GET", "a")
	if st := h.door.Stats(); st.Passed == 0 || st.PassFailed != 1 || st.NotPassed != 1 {
		t.Errorf("the door counts %+v; want commands passed on, one that failed, and one refused", st)
	}
}

func TestPassRefusals(t *testing.T) {
	addr := testenv.Redis(t)
	direct := dialRedis(t, addr)
	direct.want("+OK", "SET", "kentongan:s", "secret")
	pass := passTo(t, addr)
	h := openDoor(t, pass)
	one, all := h.signedIn(t, keyOfK1), h.signedIn(t, keyOfAll)
	one.want("-ERR unknown command 'GET': this door takes PUBLISH, SUBSCRIBE and what a connection needs; point everything else at your "+
		"Redis, or name the key as one@k1 in KENTONGAN_REDIS_DOOR_PASS…", "GET", "a")
	for _, row := range []struct{ answer, command string }{
		{"-NOPERM 'flushall' is never passed on, for it reaches keys that it does not name…", "FLUSHALL"},
		{"-NOPERM 'config' is never passed on, for it administers Redis…", "CONFIG GET requirepass"},
		{"-NOPERM 'eval' is never passed on, for it runs a program…", "EVAL return 0"},
		{"-NOPERM 'blpop' is never passed on, for it may wait…", "BLPOP a 0"},
		{"-NOPERM 'watch' is never passed on, for it is part of a transaction…", "WATCH a"},
		{"-NOPERM 'lpush' is not passed on: add it to KENTONGAN_REDIS_DOOR_COMMANDS…", "LPUSH a 1"},
		{"-ERR unknown command 'NONSENSE': this door neither…", "NONSENSE a"},
		{"-NOPERM 'get' is not passed on: it may reach keys that begin with kentongan:…", "GET kentongan:s"},
		{"-NOPERM 'mset' …", "MSET a 1 kentongan:s 2"},
		{"-NOPERM 'del' …", "DEL a b kentongan:s"},
		{"+OK", "SET not:kentongan:s 1"},
		{"+OK", "SELECT 1"},
		{"-NOPERM 'get' …", "GET kentongan:s"}, // in no database
	} {
		all.want(row.answer, strings.Fields(row.command)...)
	}
	all.want("-ERR too large: an argument has 1048576 bytes…", "SET", "a", strings.Repeat("x", 1<<20))
	all.want("+OK", "SET", "a", strings.Repeat("x", 512<<10))
	all.want("*[subscribe updates:k1 :1]", "SUBSCRIBE", "updates:k1")
	all.want("-ERR Can't execute 'get'…", "GET", "a")
	direct.want("secret", "GET", "kentongan:s")

	unbound := openDoor(t).signedIn(t, keyOfAll)
	unbound.want("-ERR unknown command 'GET': this door takes PUBLISH, SUBSCRIBE and what a connection needs; point everything else at your "+
		"Redis, for this server has none to pass it on to", "GET", "a")
	named := openDoor(t, pass, func(o *intake.RESPOptions) { o.Pass.Keys = []string{"one"} })
	named.signedIn(t, keyOfK1).want("-ERR unknown command 'GET'…", "GET", "a") // without its kitchen it is not meant
	named.signedIn(t, keyOfAll).want("-ERR unknown command 'GET'…", "GET", "a")
	whole := openDoor(t, pass, func(o *intake.RESPOptions) {
		o.Pass.Keys, o.Pass.Commands = []string{"one@k1"}, []string{"LPUSH", "SCAN"}
	})
	c := whole.signedIn(t, keyOfK1)
	c.want(":1", "LPUSH", "list", "1")
	c.want("-NOPERM 'get' is not passed on: add it…", "GET", "a")
	c.want("-NOPERM 'scan' …", "SCAN", "0")
	c.want("*[0 *[list]]", "SCAN", "0", "MATCH", "lis*", "COUNT", "100")
}

// TestPassAnswersAsRedis sends the same commands to the door and to the Redis behind it, in pipelines, in either protocol: all is
// answered as Redis answers.
func TestPassAnswersAsRedis(t *testing.T) {
	addr := testenv.Redis(t)
	// What depends on chance or on the clock has no answer to compare with.
	names := slices.DeleteFunc(rediscmd.Names(), func(name string) bool {
		return slices.Contains(strings.Fields("SCAN SPOP SRANDMEMBER HRANDFIELD ZRANDMEMBER XADD TTL PTTL"), name)
	})
	h := openDoor(t, passTo(t, addr), func(o *intake.RESPOptions) { o.Pass.Commands = rediscmd.Names() })
	word := rapid.SampledFrom([]string{"a", "b", "c", "1", "2", "-1", "0", "1.5", "", "WITHSCORES", "EX", "\r\n", "+inf", "x\x00y", "LEFT", "RIGHT"})
	rapid.Check(t, func(rt *rapid.T) {
		for _, version := range []string{"2", "3"} {
			dialRedis(t, addr).want("+OK", "FLUSHALL")
			door, direct := h.signedIn(t, keyOfAll), dialRedis(t, addr)
			door.send("HELLO", version)
			direct.send("HELLO", version)
			door.next()
			direct.next()
			door.want("+OK", "SELECT", "1") // one Redis, so that both sort alike; two databases
			direct.want("+OK", "SELECT", "2")
			var pipeline strings.Builder
			n := rapid.IntRange(1, 20).Draw(rt, "n")
			for range n {
				args := append([]string{rapid.SampledFrom(names).Draw(rt, "name")}, rapid.SliceOfN(word, 1, 4).Draw(rt, "args")...)
				pipeline.WriteString(respArray(args...))
			}
			door.raw(pipeline.String())
			direct.raw(pipeline.String())
			for i := range n {
				got, want := door.next(), direct.next()
				if got != want {
					rt.Fatalf("RESP%s, answer %d of %q: got %q, Redis says %q", version, i, pipeline.String(), got, want)
				}
			}
			_ = door.Close()
			_ = direct.Close()
		}
	})
}

// TestPassOrder mixes what Redis answers, what the engine answers and what the door answers itself, far more than may be in flight.
func TestPassOrder(t *testing.T) {
	h := openDoor(t, passTo(t, testenv.Redis(t)))
	c := h.signedIn(t, keyOfAll)
	const rounds = 2000
	go func() {
		var b strings.Builder
		for i := range rounds {
			b.WriteString(respArray("SET", "a", fmt.Sprint(i)) + respArray("PUBLISH", "updates:k1", fmt.Sprint(i)) + respArray("GET", "a") +
				respArray("ECHO", fmt.Sprint(i)))
		}
		_, _ = io.WriteString(c, b.String()) // the answers tell
	}()
	for i := range rounds {
		c.want("+OK")
		c.want(":0")
		c.want(fmt.Sprint(i))
		c.want(fmt.Sprint(i))
	}
}

// TestPassManySmall has more commands than may be in flight, which fit into one read and fill no buffer: who waits for answers has to
// send first.
func TestPassManySmall(t *testing.T) {
	const n = 3000
	c := openDoor(t, passTo(t, testenv.Redis(t))).signedIn(t, keyOfAll)
	go func() { _, _ = io.WriteString(c, strings.Repeat("GET a\r\n", n)) }() // the answers tell
	for range n {
		c.want("null")
	}
}

// TestPassWhileRedisIsOut has the door in front of an engine that goes on.
func TestPassWhileRedisIsOut(t *testing.T) {
	server := testenv.StartRedis(t)
	h := openDoor(t, passTo(t, server.Addr))
	c := h.signedIn(t, keyOfAll)
	c.want("+OK", "SET", "a", "1")
	server.Kill()
	for range 100 { // all are answered soon, and none hangs
		c.want("-ERR not ready: Redis…", "GET", "a")
	}
	c.want(":0", "PUBLISH", "updates:k1", "1")
	server.Restart()
	eventually(t, "commands to be passed on again", func() bool {
		c.send("GET", "a")
		return c.next() == "null"
	})
	server.Pause()
	c.want("-ERR not ready: Redis does not answer; the command may or may not have been carried out", "SET", "a", "2")
	server.Resume()
	eventually(t, "commands to be passed on again", func() bool {
		c.send("SET", "a", "3")
		return c.next() == "+OK"
	})
	c.want("3", "GET", "a")
}

func TestPassTransaction(t *testing.T) {
	addr := testenv.Redis(t)
	h := openDoor(t, passTo(t, addr))
	c := h.signedIn(t, keyOfAll)
	c.want("-ERR MULTI is not taken…", "MULTI")
	c.want("-ERR 'set' was not carried out…", "SET", "a", "1")
	c.want("-ERR 'publish' was not carried out…", "PUBLISH", "updates:k1", "1")
	c.want("-ERR MULTI calls can not be nested", "MULTI")
	c.want("-EXECABORT …", "EXEC")
	c.want("null", "GET", "a")
	c.want("-ERR MULTI is not taken…", "MULTI")
	c.want("+OK", "DISCARD")
	c.want(":0", "PUBLISH", "updates:k1", "2")
	c.want("-ERR EXEC without MULTI", "EXEC")
	c.want("-ERR DISCARD without MULTI", "DISCARD")
	c.want("-ERR MULTI is not taken…", "MULTI")
	c.want("+RESET", "RESET")
	c.want("+OK", "AUTH", keyOfAll)
	c.want("+OK", "SET", "a", "1")
	if st := h.door.Stats(); st.Stamped != 1 {
		t.Errorf("%d publications are stored, want the one outside of a transaction", st.Stamped)
	}
}

// TestPassLargeAnswer reads over what is too much, and goes on behind it.
func TestPassLargeAnswer(t *testing.T) {
	addr := testenv.Redis(t)
	dialRedis(t, addr).want(":20971520", "SETRANGE", "large", fmt.Sprint(20<<20-1), "x")
	dialRedis(t, addr).want(":10485760", "SETRANGE", "fits", fmt.Sprint(10<<20-1), "x")
	c := openDoor(t, passTo(t, addr)).signedIn(t, keyOfAll)
	c.raw(respArray("GET", "large") + respArray("GET", "fits") + respArray("MGET", "fits", "fits") + respArray("GET", "none"))
	c.want("-ERR too large: the answer of Redis has 20971533 bytes…")
	if got := c.next(); len(got) != 10<<20 || got[len(got)-1] != 'x' {
		t.Errorf("%d bytes came", len(got))
	}
	c.want("-ERR too large…")
	c.want("null")
}

// TestPassWritesBeforePublications holds the answer to a SET back: what is published behind it waits, and what is not does not.
func TestPassWritesBeforePublications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		engine := &manual{}
		_, l, s := stage(t, func(o *intake.RESPOptions) { o.Publisher = engine })
		c := l.dial(t)
		go c.raw(respArray("GET", "a") + respArray("PUBLISH", "updates:k1", "1") + respArray("SET", "a", "1") + respArray("PUBLISH", "updates:k1", "2"))
		r := s.next(t)
		r.want("*[GET a]")
		r.want("*[SET a 1]")
		synctest.Wait()
		if n := engine.waiting(); n != 1 {
			t.Errorf("%d publications are with the engine before the SET is answered, want the one before it", n)
		}
		r.raw("$-1\r\n")
		synctest.Wait()
		if n := engine.waiting(); n != 1 {
			t.Errorf("%d publications are with the engine before the SET is answered, want the one before it", n)
		}
		r.raw("+OK\r\n")
		synctest.Wait()
		if n := engine.waiting(); n != 2 {
			t.Fatalf("%d publications are with the engine, want 2", n)
		}
		engine.finish(1, nil)
		engine.finish(0, nil)
		c.want("null")
		c.want(":0")
		c.want("+OK")
		c.want(":0")
	})
}

// TestPassTimes has a Redis that accepts and is silent, and one that cannot be reached: whoever waits hears of it in two seconds.
func TestPassTimes(t *testing.T) {
	t.Run("Silent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h, l, s := stage(t)
			c := l.dial(t)
			go c.raw(respArray("SET", "a", "1") + respArray("GET", "a") + respArray("PING"))
			r := s.next(t)
			r.want("*[SET a 1]")
			r.want("*[GET a]")
			began := time.Now()
			c.want("-ERR not ready: Redis does not answer; the command may or may not have been carried out")
			if took := time.Since(began); took != 2*time.Second {
				t.Errorf("it took %s", took)
			}
			c.want("-ERR not ready: Redis does not answer; the command may or may not have been carried out")
			c.want("+PONG")
			r.ended()
			go c.send("GET", "a") // the next one has a connection of its own
			r = s.next(t)
			r.want("*[GET a]")
			time.Sleep(1900 * time.Millisecond)
			r.raw("$1\r\n")
			time.Sleep(1900 * time.Millisecond) // slow, and not silent
			r.raw("1\r\n")
			c.want("1")
			time.Sleep(30 * time.Minute) // who asks nothing may be silent
			go c.send("GET", "b")
			r.want("*[GET b]")
			r.raw("$-1\r\n")
			c.want("null")
			if st := h.door.Stats(); st.Passed != 2 || st.PassFailed != 2 {
				t.Errorf("the door counts %+v, want 2 passed and 2 failed", st)
			}
		})
	})
	t.Run("Unreachable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, l, s := stage(t)
			c := l.dial(t)
			go c.raw(strings.Repeat(respArray("GET", "a"), 500))
			began := time.Now()
			for range 500 {
				c.want("-ERR not ready: Redis cannot be reached; the command was not carried out")
			}
			if took := time.Since(began); took != 2*time.Second {
				t.Errorf("it took %s", took)
			}
			time.Sleep(time.Second)
			go c.send("GET", "a")
			r := s.next(t)
			r.want("*[GET a]")
			r.raw("$1\r\n1\r\n")
			c.want("1")
		})
	})
	t.Run("Transaction", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			_, l, _ := stage(t)
			c := l.dial(t)
			c.want("-ERR MULTI is not taken…", "MULTI")
			time.Sleep(5 * time.Second)
			c.want("-ERR 'ping' was not carried out…", "PING")
			time.Sleep(time.Nanosecond)
			c.want("+PONG", "PING") // given up without a word
		})
	})
}

// TestPassNonsense ends a connection to what is no Redis, and not the client's.
func TestPassNonsense(t *testing.T) {
	for _, nonsense := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n", "$5\r\nabcdefgh\r\n", "*-2\r\n", "+\n", ":1\r\n:2\r\n", "$x\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			_, l, s := stage(t)
			c := l.dial(t)
			go c.send("GET", "a")
			r := s.next(t)
			r.want("*[GET a]")
			go func() { _, _ = io.WriteString(r, nonsense) }() // the door may hang up on it
			if got := c.next(); got != ":1" && !strings.HasPrefix(got, "-ERR not ready: Redis does not answer") {
				t.Errorf("%q is passed on as %q", nonsense, got)
			}
			synctest.Wait()
			r.ended()
			c.want("+PONG", "PING")
		})
	}
}

// TestPassBackPressure has a client that asks for much and reads nothing: Redis is read no further than what may be held.
func TestPassBackPressure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l, s := stage(t)
		c := l.dial(t)
		const asked, size = 100, 1 << 20
		go c.raw(strings.Repeat(respArray("GET", "a"), asked))
		r := s.next(t)
		answer := fmt.Sprintf("$%d\r\n%s\r\n", size, strings.Repeat("x", size))
		go func() {
			for range asked {
				r.want("*[GET a]")
			}
			for range asked {
				r.raw(answer)
			}
		}()
		synctest.Wait() // nothing moves any more
		if st := h.door.Stats(); st.Passed < 8 || st.Passed > 12 {
			t.Errorf("%d answers of 1 MiB were read for a client that takes none, want 8 MiB and what is being written", st.Passed)
		}
		for range asked {
			if got := c.next(); len(got) != size {
				t.Fatalf("got %d bytes", len(got))
			}
		}
	})
}

// TestPassStopAnswersWhatItHasRead ends the door while Redis owes an answer.
func TestPassStopAnswersWhatItHasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, l, s := stage(t)
		c := l.dial(t)
		go c.send("GET", "a")
		r := s.next(t)
		r.want("*[GET a]")
		go h.stop()
		synctest.Wait()
		r.raw("$1\r\n1\r\n")
		c.want("1")
		c.ended()
		r.ended()
	})
}

// FuzzRESPPass sends commands with random arguments through the door: whatever they are, no key of ours is reached, and the door goes on.
func FuzzRESPPass(f *testing.F) {
	for _, seed := range []string{
		"GET|kentongan:s", "SET|a|1", "MSET|a|1|kentongan:s|1", "DEL|a|kentongan:s", "RENAME|kentongan:s|a", "COPY|kentongan:s|a|REPLACE",
		"SCAN|0|MATCH|*", "SCAN|0|MATCH|a*", "get|a", "HSET|h|kentongan:s|1", "SET\r\n|a|1", "MULTI", "\u017fet|kentongan:s|1", "HELLO|3", "SELECT|1",
		"ZADD|kentongan:s|1|a", "SMOVE|a|kentongan:s|b", "SELECT|100", "APPEND|kentongan:s|x",
	} {
		f.Add(seed)
	}
	addr := testenv.Redis(f)
	direct := dialRedis(f, addr)
	direct.want("+OK", "SET", "kentongan:s", "a-secret-of-ours")
	h := openDoor(f, passTo(f, addr), func(o *intake.RESPOptions) { o.Pass.Commands = rediscmd.Names() })
	f.Fuzz(func(t *testing.T, words string) {
		c := h.signedIn(t, keyOfAll)
		c.raw(respArray(strings.Split(words, "|")...) + respArray("QUIT"))
		for {
			v, err := c.value()
			if strings.Contains(v, "a-secret-of-ours") || strings.Contains(v, "kentongan:s") && strings.HasPrefix(v, "*") {
				t.Fatalf("%q shows %q", words, v)
			}
			if err == nil {
				continue
			}
			if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || v != "" {
				t.Fatalf("%q: after %q %v", words, v, err)
			}
			break
		}
		_ = direct.SetDeadline(time.Now().Add(20 * time.Second))
		direct.t = t
		direct.want("a-secret-of-ours", "GET", "kentongan:s")
		direct.want(":1", "EXISTS", "kentongan:s")
		page, err := h.broker.History(t.Context(), realtime.Channel{Tenant: "k2", Name: "updates"}, realtime.Position{}, 1)
		if err != nil || page.Head.Offset > 0 {
			t.Fatalf("%q reached another kitchen: %v, %v", words, page, err)
		}
	})
}
