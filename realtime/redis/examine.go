package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// Examination is what a look at a Redis has found.
type Examination struct {
	Product    string // "redis" or "valkey"
	Version    string
	Weaknesses []Weakness

	Primary string // where it is, if that had to be found; empty: at the address that was given

	RoundTrip time.Duration // half of the pings took no longer
	Slowest   time.Duration // of the pings
	Skew      time.Duration // how far its clock is ahead of ours; half a round trip more or less

	Clients, MaxClients int // connections that are open, and how many may be; 0: it does not say

	// Missing are the permissions that this user lacks.
	Missing []Permission

	// Refused are the things that a server needs and this user, or this Redis, does not let it do, each with what Redis says.
	Refused []string
}

// MinVersion is the oldest Redis that is supported.
const MinVersion = 7

// Major returns the first number of the version; for Valkey that of the Redis which it descends from, and 0 if it cannot be told.
func (e *Examination) Major() int {
	if e.Product == "valkey" {
		return MinVersion // its first release came after
	}
	first, _, _ := strings.Cut(e.Version, ".")
	n, _ := strconv.Atoi(first) // 0 is what it says then
	return n
}

// pings is how many round trips are measured.
const pings = 21

// Examine looks at the Redis that opts name: it connects as a server does, asks what it is and how it is set up, and tries what servers do
// with it, under a key and a channel of its own. The error says why that was not possible.
func Examine(ctx context.Context, opts Options) (e Examination, err error) {
	if opts, err = opts.withDefaults(); err != nil {
		return e, fmt.Errorf("examine redis: %w", err)
	}
	c, err := newClient(&opts, "doctor", opts.AnswerLimit)
	if err != nil {
		return e, err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, opts.ConnectTimeout+4*opts.CommandTimeout)
	defer cancel()
	b := &Broker{opts: opts, ask: c, keys: opts.keys(), life: ctx}
	info, err := c.Do(ctx, c.B().Info().Section("server").Build()).ToString()
	if err != nil {
		if _, refused := rueidis.IsRedisErr(err); !refused {
			return e, fmt.Errorf("examine redis %s: %w", opts.where(), err)
		}
		e.Refused = append(e.Refused, "INFO: "+err.Error())
	}
	server := reply{text: info}
	e.Product, e.Version = "redis", server.field("redis_version")
	if v := server.field("valkey_version"); v != "" {
		e.Product, e.Version = "valkey", v
	}
	if home := opts.Primary; home.finder != nil {
		home.mu.Lock()
		e.Primary = home.finder.name() + " at " + home.place.address
		home.mu.Unlock()
	}
	if err := e.measure(ctx, c); err != nil {
		return e, fmt.Errorf("examine redis %s: %w", opts.where(), err)
	}
	if e.Weaknesses, _, err = b.look(ctx); err == nil {
		e.Missing, err = lacks(ctx, c, b.keys)
	}
	if err != nil {
		return e, fmt.Errorf("examine redis %s: %w", opts.where(), err)
	}
	if text, err := c.Do(ctx, c.B().Info().Section("clients").Build()).ToString(); err == nil {
		clients := reply{text: text}
		e.Clients, _ = strconv.Atoi(clients.field("connected_clients")) // 0: it does not say
		e.MaxClients, _ = strconv.Atoi(clients.field("maxclients"))
	}
	e.try(ctx, c, b.keys)
	return e, nil
}

// measure pings, and compares clocks by the quickest of the answers.
func (e *Examination) measure(ctx context.Context, c *client) error {
	took := make([]time.Duration, 0, pings)
	best := time.Duration(-1)
	for range pings {
		began := time.Now()
		answer, err := c.Do(ctx, c.B().Time().Build()).AsStrSlice()
		d := time.Since(began)
		if said, refused := rueidis.IsRedisErr(err); refused {
			e.Refused = append(e.Refused, "TIME: "+said.Error())
			return nil
		}
		if err != nil {
			return err
		}
		took = append(took, d)
		if len(answer) != 2 {
			return errProtocol
		}
		seconds, err1 := strconv.ParseInt(answer[0], 10, 64)
		micros, err2 := strconv.ParseInt(answer[1], 10, 64)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("read its time: %w", err)
		}
		if best < 0 || d < best {
			best = d
			e.Skew = time.Unix(seconds, micros*1000).Sub(began.Add(d / 2).Round(0)) // the wall clock of both
		}
	}
	slices.Sort(took)
	e.RoundTrip, e.Slowest = took[len(took)/2], took[len(took)-1]
	return nil
}

// try does what servers do: write, run a script, publish, subscribe, and expire.
func (e *Examination) try(ctx context.Context, c *client, k keys) {
	key, channel := string(k)+"doctor", k.open()+"doctor"
	for _, t := range []struct {
		name string
		cmd  rueidis.Completed
	}{
		{"write keys", c.B().Set().Key(key).Value("1").Px(time.Second).Build()},
		{"run scripts", c.B().Eval().Script("return redis.call('GET', KEYS[1])").Numkeys(1).Key(key).Build()},
		{"delete keys", c.B().Del().Key(key).Build()},
		{"add to streams", c.B().Xadd().Key(key+":stream").Maxlen().Threshold("1").Id("*").FieldValue().FieldValue("a", "1").Build()},
		{"delete streams", c.B().Unlink().Key(key + ":stream").Build()},
		{"publish", c.B().Publish().Channel(channel).Message("").Build()},
	} {
		err := c.Do(ctx, t.cmd).Error()
		if rueidis.IsRedisNil(err) || err == nil || e.explains(err) {
			continue
		}
		e.Refused = append(e.Refused, t.name+": "+inWords(err).Error())
	}
	heard, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	heard = rueidis.WithOnSubscriptionHook(heard, func(rueidis.PubSubSubscription) { cancel() })
	err := c.Receive(heard, c.B().Psubscribe().Pattern(k.open()+"doctor*").Build(), func(rueidis.PubSubMessage) {})
	if said, refused := rueidis.IsRedisErr(err); refused && !e.explains(err) {
		e.Refused = append(e.Refused, "subscribe: "+said.Error())
	}
}

// explains reports whether Missing says why Redis refuses with err: it has all that is missing, unless there are no scripts.
func (e *Examination) explains(err error) bool {
	said, refused := rueidis.IsRedisErr(err)
	return refused && strings.HasPrefix(said.Error(), "NOPERM") && len(e.Missing) > 0 && e.Missing[0].Rule != "+eval"
}
