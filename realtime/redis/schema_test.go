package redis_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/redis"
	"kentongan/realtime/stamping"
)

// update writes testdata/schema-1.txt anew. That is for the day on which schema 1 is made, and for no later one: the file is what programs
// of that schema have written, and stays as it is when newer ones write something else.
var update = flag.Bool("update-schema", false, "write testdata/schema-1.txt anew")

const schemaFile = "testdata/schema-1.txt"

// What the file holds of each kind.
var (
	oldDevice  = realtime.Device{Tenant: "k1", ID: realtime.DeviceID{7}}
	oldUpdates = []string{`{"type":"production_update","productionId":"p1","data":{"progress":1}}`, `{"type":"production_update","productionId":"p2","data":{}}`,
		`{"type":"production_update","productionId":"p1","data":{"progress":2}}`}
	oldMenu = realtime.Channel{Tenant: "k1", Name: "menu:updates"}
)

const (
	oldKey        = "order-1"
	oldRevocation = `{"sub":"somebody"}`
	oldTicket     = "ticket-of-before"
)

// writeOld has a program of today do everything that leaves something in Redis.
func writeOld(t *testing.T, addr string) {
	t.Helper()
	ctx, c := t.Context(), admin(t, addr)
	b, w := follow(t, redis.Options{Address: addr})
	settled := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, data := range oldUpdates {
		_, err := b.Publish(ctx, channelA, []byte(data), realtime.PublishOptions{})
		settled(err)
	}
	_, err := b.Publish(ctx, oldMenu, []byte(`"keyed"`), realtime.PublishOptions{Key: oldKey})
	settled(err)
	settled(b.Tickets().PutTicket(ctx, oldTicket, []byte("x"), time.Hour))
	settled(b.AnnounceRevocation(ctx, []byte(oldRevocation)))
	settled(b.Quarantine().Hold(ctx, &realtime.Held{Channel: channelA, Door: "pubsub", Reason: "type is missing", Data: []byte(`{}`), Bytes: 2}))
	b.Presence().Join(channelA, "koki")
	b.Devices().Note(oldDevice, realtime.DeviceEvent{Kind: realtime.DeviceArrived, Connection: 1, Position: "here"})
	b.Devices().Note(oldDevice, realtime.DeviceEvent{Kind: realtime.DeviceLost, Connection: 1, Position: "here"})
	feed := "kentongan:intake:feed:old"
	hearing, cancel := context.WithCancel(ctx)
	heard := make(chan error, 1)
	up := make(chan struct{})
	go func() {
		heard <- c.Receive(rueidis.WithOnSubscriptionHook(hearing, func(rueidis.PubSubSubscription) { close(up) }),
			c.B().Subscribe().Channel(feed).Build(), func(rueidis.PubSubMessage) {})
	}()
	<-up
	report := stamping.Report{Node: "old", Token: "t", Globs: "g", Feeds: []string{feed}, Mark: "old.1", Trusted: true}
	state, err := b.Ledger().Report(ctx, report)
	if err != nil || !state.Mine {
		t.Fatalf("the lease: %+v, %v", state, err)
	}
	_, err = b.Ledger().Stamp(ctx, stamping.Batch{Token: "t", Numbering: "old.1", Messages: []stamping.Numbered{
		{Number: 1, Message: stamping.Message{Channel: oldMenu, Data: []byte(`"plain"`), Arrived: time.Now()}},
	}})
	settled(err)
	s, err := redis.NewStream(redis.Options{Address: addr})
	settled(err)
	do(t, c, "XADD", "kentongan:publish", "*", "channel", "menu:updates:k1", "data", `"pending"`)
	settled(s.Read(ctx, 10, time.Second, func(string, []string) {}))
	s.Close()
	eventually(t, "all to be written", func() bool {
		positions, _, err := b.Devices().Positions(ctx, oldDevice)
		members, err2 := b.Presence().Members(ctx, channelA)
		n, err3 := do(t, c, "EXISTS", "kentongan:revoked", "kentongan:schema", "kentongan:{k1}:present").AsInt64()
		return errors.Join(err, err2, err3) == nil && len(positions) == 1 && len(members) == 1 && n == 3 && w.has(oldMenu, `"plain"`)
	})
	text := dumpCommands(t, c)
	cancel()
	<-heard
	settled(os.WriteFile(schemaFile, []byte(text), 0o600))
}

// dumpCommands returns the commands that make all that a Redis holds, as quoted words, one command a line.
func dumpCommands(t *testing.T, c rueidis.Client) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "# What a program of schema 1 left in Redis at %d ms. It stays as it is.\n", time.Now().UnixMilli())
	line := func(words ...string) {
		for i, word := range words {
			words[i] = strconv.QuoteToASCII(word)
		}
		out.WriteString(strings.Join(words, " ") + "\n")
	}
	list := func(args ...string) []string {
		t.Helper()
		all, err := do(t, c, args...).AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	keys := list("KEYS", "*")
	slices.Sort(keys)
	for _, key := range keys {
		kind, err := do(t, c, "TYPE", key).ToString()
		if err != nil {
			t.Fatal(err)
		}
		switch kind {
		case "string":
			value, err := do(t, c, "GET", key).ToString()
			if err != nil {
				t.Fatal(err)
			}
			line("SET", key, value)
		case "hash":
			fields, err := do(t, c, "HGETALL", key).AsStrMap()
			if err != nil {
				t.Fatal(err)
			}
			words := []string{"HSET", key}
			names := make([]string, 0, len(fields))
			for name := range fields {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				words = append(words, name, fields[name])
			}
			line(words...)
		case "set":
			line(append([]string{"SADD", key}, list("SMEMBERS", key)...)...)
		case "zset":
			for _, member := range list("ZRANGE", key, "0", "-1") {
				score, err := do(t, c, "ZSCORE", key, member).AsFloat64()
				if err != nil {
					t.Fatal(err)
				}
				line("ZADD", key, strconv.FormatFloat(score, 'f', -1, 64), member)
			}
		case "stream":
			entries, err := do(t, c, "XRANGE", key, "-", "+").ToArray()
			if err != nil {
				t.Fatal(err)
			}
			for i := range entries {
				entry, err := entries[i].ToArray()
				if err != nil {
					t.Fatal(err)
				}
				id, err1 := entry[0].ToString()
				fields, err2 := entry[1].AsStrSlice()
				if err := errors.Join(err1, err2); err != nil {
					t.Fatal(err)
				}
				line(append([]string{"XADD", key, id}, fields...)...)
			}
			if key == "kentongan:publish" {
				line("XGROUP", "CREATE", key, "kentongan", "0")
				line("XREADGROUP", "GROUP", "kentongan", "consumer-of-before", "STREAMS", key, ">")
			}
		default:
			t.Fatalf("%s is a %s", key, kind)
		}
	}
	return out.String()
}

// loadOld carries out the commands of a file, with all times moved as if it had been written a minute ago.
func loadOld(t *testing.T, c rueidis.Client) {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	stamp := regexp.MustCompile(`\d{13}`)
	base, err := strconv.ParseInt(stamp.FindString(string(text)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	moved := time.Now().Add(-time.Minute).UnixMilli() - base
	for scan := bufio.NewScanner(strings.NewReader(string(text))); scan.Scan(); {
		if strings.HasPrefix(scan.Text(), "#") {
			continue
		}
		var words []string
		for rest := scan.Text(); rest != ""; rest = strings.TrimPrefix(rest, " ") {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				t.Fatalf("%s: %v", rest, err)
			}
			word, err := strconv.Unquote(quoted)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[len(quoted):]
			word = stamp.ReplaceAllStringFunc(word, func(digits string) string {
				ms, err := strconv.ParseInt(digits, 10, 64)
				if err != nil || !near(ms, base) {
					return digits
				}
				return strconv.FormatInt(ms+moved, 10)
			})
			if len(words) == 2 && strings.Contains(words[1], ":dev:") {
				word = moveVarints(t, word, base, moved)
			}
			if odd := len(words)%2 == 1; odd && len(words) > 2 && strings.Contains(words[1], ":n:") {
				word = moveEntry(t, word, base, moved)
			}
			words = append(words, word)
		}
		do(t, c, words...)
	}
}

// near reports whether a time is about that at which the file was written.
func near(ms, base int64) bool {
	day := (24 * time.Hour).Milliseconds()
	return base-day < ms && ms < base+day
}

// moveVarints moves both times in a record of a device, which are varints.
func moveVarints(t *testing.T, record string, base, moved int64) string {
	t.Helper()
	var out []byte
	times := 0
	for rest := []byte(record); len(rest) > 0; {
		if ms, n := binary.Uvarint(rest); n > 0 && near(int64(ms), base) {
			out, rest = binary.AppendUvarint(out, ms+uint64(moved)), rest[n:] // wraps around, as it should
			times++
			continue
		}
		out, rest = append(out, rest[0]), rest[1:]
	}
	if times != 2 {
		t.Fatalf("the record of a device has %d times, want 2", times)
	}
	return string(out)
}

// moveEntry moves the time in one of the newest of each key: it stands behind the offset.
func moveEntry(t *testing.T, entry string, base, moved int64) string {
	t.Helper()
	const offset, end = 8, 16
	out := []byte(entry)
	if len(out) < end {
		t.Fatalf("one of the newest of each key has %d bytes", len(out))
	}
	ms := int64(binary.BigEndian.Uint64(out[offset:end]))
	if !near(ms, base) {
		t.Fatalf("one of the newest of each key has the time %d, which is not about %d", ms, base)
	}
	binary.BigEndian.PutUint64(out[offset:end], uint64(ms+moved))
	return string(out)
}

// TestReadsSchema1 has a program of today go on with what one of schema 1 has left: positions, history, the newest of each key, keys of
// repeats, presence, devices, tickets, revocations, the quarantine, the ledger of plain PUBLISH, and the durable stream.
func TestReadsSchema1(t *testing.T) {
	if *update {
		writeOld(t, testenv.Redis(t))
	}
	server := testenv.StartRedis(t)
	c, ctx := admin(t, server.Addr), t.Context()
	loadOld(t, c)
	h := &heard{}
	b := open(t, redis.Options{Address: server.Addr, OnRevocation: h.on})
	w := newWatcher(t)
	run(t, b, w)
	heads, err := b.Follow(ctx, "k1")
	if err != nil {
		t.Fatal(err)
	}
	head := heads.At(channelA.Name)
	page, err := b.History(ctx, channelA, realtime.Position{Epoch: head.Epoch}, 10)
	if err != nil || page.Gap != "" || len(page.Publications) != len(oldUpdates) || head.Offset != uint64(len(oldUpdates)) {
		t.Fatalf("history: %+v, %v", page, err)
	}
	for i, p := range page.Publications {
		if string(p.Data) != oldUpdates[i] || p.Position.Offset != uint64(i+1) {
			t.Errorf("publication %d: %s at %v", i+1, p.Data, p.Position)
		}
	}
	w.mu.Lock()
	w.at[channelA], w.at[oldMenu] = head, heads.At(oldMenu.Name)
	w.mu.Unlock()
	next, err := b.Publish(ctx, channelA, []byte(oldUpdates[0]), realtime.PublishOptions{})
	if want := (realtime.Position{Epoch: head.Epoch, Offset: head.Offset + 1}); err != nil || next.Position != want {
		t.Errorf("the next one is at %v, %v; want %v", next.Position, err, want)
	}
	again, err := b.Publish(ctx, oldMenu, []byte(`"keyed"`), realtime.PublishOptions{Key: oldKey})
	if err != nil || !again.Duplicate || again.Position.Offset != 1 {
		t.Errorf("the repeat of a key: %+v, %v", again, err)
	}
	newest, err := b.Snapshot(ctx, channelA)
	if err != nil || len(newest.Publications) != 2 {
		t.Errorf("the newest of each key: %+v, %v", newest, err)
	}
	members, err := b.Presence().Members(ctx, channelA)
	if err != nil || len(members) != 1 || members[0].User != "koki" {
		t.Errorf("presence: %+v, %v", members, err)
	}
	positions, known, err := b.Devices().Positions(ctx, oldDevice)
	if err != nil || !known || !slices.Equal(positions, []string{"here"}) {
		t.Errorf("the device: %q, %t, %v", positions, known, err)
	}
	if ticket, err := b.Tickets().TakeTicket(ctx, oldTicket); err != nil || string(ticket) != "x" {
		t.Errorf("the ticket: %q, %v", ticket, err)
	}
	eventually(t, "the revocation", func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return slices.Contains(h.got, oldRevocation)
	})
	held, err := b.Quarantine().List(ctx, "k1", 10)
	if err != nil || len(held) != 1 || held[0].Reason != "type is missing" || held[0].Door != "pubsub" {
		t.Errorf("the quarantine: %+v, %v", held, err)
	}
	state, err := b.Ledger().Report(ctx, stamping.Report{Node: "new", Token: "u", Globs: "g", Mark: "new.1"})
	if err != nil || state.Numbering != "old.1" || state.Stamped != 1 {
		t.Errorf("the ledger: %+v, %v", state, err)
	}
	s, err := redis.NewStream(redis.Options{Address: server.Addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	var pending []string
	if _, err := s.Claim(ctx, 0, 10, func(_ string, fields []string) { pending = append(pending, fields...) }); err != nil || !slices.Contains(pending, `"pending"`) {
		t.Errorf("the stream has %q pending, %v", pending, err)
	}
}

// TestNewerSchema: what a newer program has written is not touched by this one, which says so; a newer minor number does not matter.
func TestNewerSchema(t *testing.T) {
	for written, fine := range map[string]bool{"1.99": true, "2.0": false, "fresh": false} {
		t.Run(written, func(t *testing.T) {
			t.Parallel()
			server := testenv.StartRedis(t)
			c := admin(t, server.Addr)
			do(t, c, "SET", "kentongan:schema", written)
			b := open(t, redis.Options{Address: server.Addr, CommandTimeout: time.Second})
			run(t, b, nothing{})
			if fine {
				eventually(t, "the node to be ready", func() bool { return b.Ready() == nil })
			} else {
				eventually(t, "the node to say what is wrong", func() bool {
					err := b.Ready()
					return err != nil && strings.Contains(err.Error(), "a newer program is needed")
				})
			}
			_, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
			if fine != (err == nil) || err != nil && !errors.Is(err, realtime.ErrUnavailable) {
				t.Errorf("publish: %v", err)
			}
			if got, err := do(t, c, "GET", "kentongan:schema").ToString(); err != nil || got != written {
				t.Errorf("the schema is now %q, %v", got, err)
			}
			if keys, err := do(t, c, "KEYS", "*").AsStrSlice(); err != nil || !fine && len(keys) != 1 {
				t.Errorf("it has written %q, %v", keys, err)
			}
			if _, err := redis.Examine(t.Context(), redis.Options{Address: server.Addr}); fine != (err == nil) {
				t.Errorf("examined: %v", err)
			}
		})
	}
}

// TestNewerSchemaComes: a node that runs gives everything up when a newer program has made the data its own, in database and prefix of the
// node, and says so once.
func TestNewerSchemaComes(t *testing.T) {
	server := testenv.StartRedis(t)
	c := admin(t, server.Addr)
	var log logs
	b, w := follow(t, redis.Options{Address: server.Addr, DB: 3, Prefix: "mine:", CommandTimeout: time.Second, Log: slog.New(slog.NewTextHandler(&log, nil))})
	settle(t, b, w)
	written := func() string {
		got, _ := c.DoMulti(context.Background(), c.B().Select().Index(3).Build(), c.B().Get().Key("mine:schema").Build())[1].ToString()
		return got // empty if there is none
	}
	eventually(t, "the schema to be written", func() bool { return written() == "1.1" })
	do(t, c, "FLUSHALL")
	eventually(t, "it to be written again", func() bool { return written() == "1.1" })
	do(t, c, "SET", "mine:schema", "2.0") // the client has selected the database
	eventually(t, "the node to give up", func() bool {
		err := b.Ready()
		return err != nil && strings.Contains(err.Error(), "schema 2.0, and this program knows 1.1")
	})
	eventually(t, "publications to be refused", func() bool {
		_, err := b.Publish(t.Context(), channelA, []byte(`1`), realtime.PublishOptions{})
		return errors.Is(err, realtime.ErrUnavailable)
	})
	log.mu.Lock()
	n := strings.Count(log.b.String(), "the data in redis are of a newer program")
	log.mu.Unlock()
	if n != 1 {
		t.Errorf("it was logged %d times, want once", n)
	}
	do(t, c, "DEL", "mine:schema")
	eventually(t, "the node to come back", func() bool { return b.Ready() == nil })
}

// TestNoCluster: a node of a Cluster is refused where a single Redis is expected, and the other way round, with what to do.
func TestNoCluster(t *testing.T) {
	node, single := testenv.StartRedis(t, "--cluster-enabled", "yes").Addr, testenv.Redis(t)
	for want, opts := range map[string]redis.Options{
		"is a node of a Cluster: list some nodes of that in REDIS_CLUSTER": {Address: node},
		"it is no node of a Cluster; use REDIS_URL for a single Redis":     {Cluster: []string{single}},
	} {
		opts.CommandTimeout = time.Second
		b := open(t, opts)
		run(t, b, nothing{})
		eventually(t, "the node to say so", func() bool { err := b.Ready(); return err != nil && strings.Contains(err.Error(), want) })
		if _, err := redis.Examine(t.Context(), opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("examined: %v, want %q", err, want)
		}
	}
	for _, opts := range []redis.Options{{DB: 1}, {Sentinels: []string{single}}, {Network: "unix"}} {
		opts.Cluster = []string{node}
		if _, err := redis.New(opts); err == nil {
			t.Errorf("%+v is taken", opts)
		}
	}
}
