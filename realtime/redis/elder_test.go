package redis_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

// elder is a node of schema 1.0 beside those of today: it sends the scripts that such a program sends (testdata/schema-1.0, which stay as
// they are), with the arguments that it gives them, and takes copies as it does. It follows the one channel [channelA], whose keys it
// spells itself: a program of today that spells them otherwise is not heard by it.
type elder struct {
	t      *testing.T
	c      rueidis.Client
	tokens uint64
	known  realtime.Position // the newest one that it was told of
	reign  string            // the word with which the epochs end that it begins

	mu      sync.Mutex // guards what it hears
	at      realtime.Position
	heard   []string // position and data of each publication
	turns   int
	foreign int // copies that it does not understand, and passes over
}

// What a program of schema 1.0 calls things.
const (
	elderHead     = "kentongan:{k1}:head"
	elderLive     = "kentongan:{k1}:live"
	elderStream   = "kentongan:{k1}:h:production:updates"
	elderNewest   = "kentongan:{k1}:n:production:updates"
	elderRecord   = "kentongan:{k1}:k:18:production:updates:"
	elderPresent  = "kentongan:{k1}:present"
	elderDevices  = "kentongan:{k1}:dev"
	elderLedger   = "kentongan:intake"
	elderAble     = "kentongan:intake:able"
	elderMarks    = "kentongan:intake:marks"
	elderFeed     = "kentongan:intake:feed:elder"
	elderName     = "production:updates"
	elderKeeps    = "500"      // publications of history
	elderKeepsFor = "86400000" // ms
)

func newElder(t *testing.T, addr string) *elder {
	t.Helper()
	e := &elder{t: t, c: admin(t, addr)}
	if got := e.text("schema", []string{"kentongan:schema"}, "1", "0"); got != "1.0" {
		t.Fatalf("the schema is %s", got)
	}
	hearing, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	up := make(chan struct{})
	go func() {
		defer close(ended)
		_ = e.c.Receive(rueidis.WithOnSubscriptionHook(hearing, func(s rueidis.PubSubSubscription) {
			if s.Kind == "subscribe" && s.Channel == elderFeed { // the last of them
				close(up)
			}
		}), e.c.B().Subscribe().Channel(elderLive, elderFeed).Build(), func(m rueidis.PubSubMessage) { e.take([]byte(m.Message)) })
	}()
	t.Cleanup(func() { cancel(); <-ended })
	<-up
	return e
}

// call runs scripts of schema 1.0, one behind the other as one.
func (e *elder) call(scripts string, keys []string, args ...string) rueidis.RedisResult {
	e.t.Helper()
	text := ""
	if strings.Contains(scripts, "store") {
		text = "local reign = ''\n" // of a Redis that was never promoted
	}
	for name := range strings.FieldsSeq(scripts) {
		part, err := os.ReadFile("testdata/schema-1.0/" + name + ".lua")
		if err != nil {
			e.t.Fatal(err)
		}
		text += string(part)
	}
	return do(e.t, e.c, append(append([]string{"EVAL", text, strconv.Itoa(len(keys))}, keys...), args...)...)
}

// text is call for a script that answers one text.
func (e *elder) text(scripts string, keys []string, args ...string) string {
	e.t.Helper()
	got, err := e.call(scripts, keys, args...).ToString()
	if err != nil {
		e.t.Fatalf("%s: %v", scripts, err)
	}
	return got
}

// list is call for a script that answers a list of texts.
func (e *elder) list(scripts string, keys []string, args ...string) []string {
	e.t.Helper()
	got, err := e.call(scripts, keys, args...).AsStrSlice()
	if err != nil {
		e.t.Fatalf("%s: %v", scripts, err)
	}
	return got
}

func (e *elder) token() string {
	e.tokens++
	return string(binary.BigEndian.AppendUint64([]byte("an elder"), e.tokens))
}

// try is one try to publish. again says that it was sent before, with that token, when the elder knew of a position.
func (e *elder) try(token, data, product, key string, known realtime.Position, again bool) (letter byte, at realtime.Position) {
	e.t.Helper()
	record, digest, repeat := elderHead, "", "0"
	if key != "" {
		sum := sha256.Sum256([]byte(data))
		record, digest = elderRecord+key, string(sum[:16])
	}
	if again {
		repeat = "1"
	}
	answer := e.text("store publish", []string{elderHead, elderStream, record, elderNewest},
		elderName, data, elderKeeps, elderKeepsFor, elderLive, token, fmt.Sprintf("elder%07d%s", e.tokens, e.reign),
		known.Epoch, strconv.FormatUint(known.Offset, 10), digest, "300", repeat, product)
	return answer[0], e.position(answer[1:])
}

func (e *elder) position(text string) realtime.Position {
	e.t.Helper()
	digits, epoch, _ := strings.Cut(text, " ")
	offset, err := strconv.ParseUint(digits, 10, 64)
	if err != nil {
		e.t.Fatalf("%q is no position", text)
	}
	e.known = realtime.Position{Epoch: epoch, Offset: offset}
	return e.known
}

// turn gives the channel a new epoch.
func (e *elder) turn() realtime.Position {
	e.t.Helper()
	e.tokens++
	return e.position(e.text("store turn", []string{elderHead, elderStream},
		elderName, fmt.Sprintf("turns%07d", e.tokens), elderLive, "overloaded", "", "0", ""))
}

// history returns position and data of all that there is in the channel.
func (e *elder) history() []string {
	e.t.Helper()
	got := e.list("read", []string{elderHead, elderStream}, elderName, "", "1000", elderKeeps, elderKeepsFor, "neverused", "524288")
	var all []string
	for rest := got[3]; rest != ""; {
		size := 20 + int(binary.BigEndian.Uint32([]byte(rest[16:])))
		all = append(all, spell(realtime.Position{Epoch: got[0], Offset: binary.BigEndian.Uint64([]byte(rest))}, rest[20:size]))
		rest = rest[size:]
	}
	return all
}

// newest returns the data of the newest of each key.
func (e *elder) newest() []string {
	e.t.Helper()
	var all []string
	for rest := e.list("snapshot", []string{elderHead, elderNewest}, elderName, elderKeepsFor, "neverused")[2]; rest != ""; {
		size := 20 + int(binary.BigEndian.Uint32([]byte(rest[16:])))
		all, rest = append(all, rest[20:size]), rest[size:]
	}
	return all
}

// join says that a user is here.
func (e *elder) join(user string) {
	e.t.Helper()
	own := elderPresent + ":616e20656c646572"
	do(e.t, e.c, "HSET", own, "18:production:updates:"+user, "1:"+strconv.FormatInt(time.Now().UnixMilli(), 10))
	do(e.t, e.c, "EXPIRE", own, "60")
	do(e.t, e.c, "SADD", elderPresent, "616e20656c646572")
	do(e.t, e.c, "EXPIRE", elderPresent, "120")
}

// others returns who is at the other nodes, and how often.
func (e *elder) others() map[string]string {
	e.t.Helper()
	nodes, err := e.call("members", []string{elderPresent}, elderPresent+":", "616e20656c646572").ToArray()
	if err != nil {
		e.t.Fatal(err)
	}
	all := map[string]string{}
	for i := range nodes {
		fields, err := nodes[i].AsStrMap()
		if err != nil {
			e.t.Fatal(err)
		}
		for field, value := range fields {
			user, here := strings.CutPrefix(field, "18:production:updates:")
			sessions, _, ok := strings.Cut(value, ":")
			if !here || !ok {
				e.t.Fatalf("a seat is spelled %q, %q", field, value)
			}
			all[user] = sessions
		}
	}
	return all
}

// report tells the ledger how the elder stands, and returns the answer. One that gives the lease up names no connections.
func (e *elder) report(numbering string, low, passed int64, release bool) []string {
	e.t.Helper()
	flag, feeds := "0", []string{elderFeed}
	if release {
		flag, feeds = "1", nil
	}
	return e.list("report", []string{elderLedger, elderAble}, append([]string{
		"elder", "elder-token", "globs", numbering, strconv.FormatInt(low, 10), strconv.FormatInt(passed, 10), "elder-mark", "0", "", "1",
		flag, "", "", "1200", "3000", elderMarks,
	}, feeds...)...)
}

// stamp stamps messages of plain PUBLISH, the first of which has the number after prev.
func (e *elder) stamp(numbering string, prev int64, data ...string) []string {
	e.t.Helper()
	keys, last := []string{elderLedger}, prev+int64(len(data))
	args := []string{"elder-token", numbering, strconv.FormatInt(prev, 10), strconv.FormatInt(last, 10), "1200", "elderstamps"}
	for i, d := range data {
		keys = append(keys, elderHead, elderStream, elderNewest)
		args = append(args, strconv.FormatInt(prev+1+int64(i), 10), elderName, d, elderKeeps, elderKeepsFor, elderLive, e.token(), "", "0", "k")
	}
	return e.list("store stamp", keys, args...)
}

// take takes a copy, as nodes send them to each other.
func (e *elder) take(b []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(b) < 36 || b[0] != 1 || b[1] < 1 || b[1] > 3 {
		e.foreign++
		return
	}
	at := realtime.Position{Offset: binary.BigEndian.Uint64(b[2:])}
	epoch := b[35 : 35+b[34]]
	at.Epoch = string(epoch)
	rest := b[35+len(epoch):]
	name, data := string(rest[1:1+rest[0]]), string(rest[1+rest[0]:])
	switch {
	case b[1] == 3, b[1] == 2 && name == elderName:
		e.at = realtime.Position{Epoch: at.Epoch}
		e.turns++
	case name == elderName:
		if e.at != (realtime.Position{}) && at != (realtime.Position{Epoch: e.at.Epoch, Offset: e.at.Offset + 1}) {
			e.t.Errorf("the elder hears %v after %v", at, e.at)
		}
		e.at = at
		e.heard = append(e.heard, spell(at, data))
	}
}

func spell(at realtime.Position, data string) string {
	return fmt.Sprintf("%s/%d %s", at.Epoch, at.Offset, data)
}
