package publish_test

import (
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"kentongan/bench/publish"
	"kentongan/internal/testenv"
)

// counting is a script that does the work of a publication, in the eyes of Calls, and something of its own.
const counting = "redis.call('INCR', KEYS[2]) return {redis.call('XADD', KEYS[1], '*', 'd', ARGV[1]), 1, false, {'two', ARGV[1]}}"

// TestReplayDoesTheSameWork records calls with arguments of all bytes between other commands, puts Redis back, and repeats them.
func TestReplayDoesTheSameWork(t *testing.T) {
	address := testenv.Redis(t)
	client := connect(t, address)
	do := func(arguments ...string) string {
		t.Helper()
		said, err := client.Do(t.Context(), client.B().Arbitrary(arguments...).Build()).ToAny()
		if err != nil && !rueidis.IsRedisNil(err) {
			t.Fatal(arguments, err)
		}
		text, _ := said.(string)
		return text
	}
	do("FLUSHALL")
	sha := do("SCRIPT", "LOAD", counting)
	do("SET", "before", "kept \x00\xff")
	do("SET", "count", "7")
	saved, err := publish.Save(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	var odd strings.Builder
	for b := range 256 {
		odd.WriteByte(byte(b))
	}
	const calls = 50
	recorded, err := publish.Record(t.Context(), address, func() error {
		for range calls {
			do("EVALSHA", sha, "2", "stream", "count", odd.String())
			do("SET", "noise", `"quoted" [0 lua] "EVALSHA"`)
		}
		return nil
	})
	if err != nil || recorded.Len() != calls {
		t.Fatalf("%d calls recorded, %v; want %d", recorded.Len(), err, calls)
	}
	if err := saved.Restore(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if got := do("GET", "before") + do("GET", "count") + do("GET", "noise"); got != "kept \x00\xff7" {
		t.Fatalf("restored: %q", got)
	}
	was, err := publish.Calls(t.Context(), address, "xadd")
	if err != nil {
		t.Fatal(err)
	}
	took, err := publish.Replay(address, recorded)
	if err != nil || took <= 0 {
		t.Fatalf("replay took %v, %v", took, err)
	}
	is, err := publish.Calls(t.Context(), address, "xadd")
	if err != nil || is-was != calls || do("GET", "count") != "57" {
		t.Fatalf("%d calls of XADD, count %s, %v; want %d and 57", is-was, do("GET", "count"), err, calls)
	}
	entries, err := client.Do(t.Context(), client.B().Xrange().Key("stream").Start("-").End("+").Count(1).Build()).AsXRange()
	if err != nil || len(entries) != 1 || !reflect.DeepEqual(entries[0].FieldValues, map[string]string{"d": odd.String()}) {
		t.Fatalf("%v, %v; want the bytes as they were", entries, err)
	}
	if none, err := publish.Calls(t.Context(), address, "nosuchcommand"); none != 0 || err != nil {
		t.Errorf("a command that nobody has called: %d, %v", none, err)
	}
}

func connect(t *testing.T, address string) rueidis.Client {
	t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{address}, ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestReplayTellsErrors(t *testing.T) {
	address := testenv.Redis(t)
	client := connect(t, address)
	b := client.B()
	if err := client.Do(t.Context(), b.Arbitrary("FLUSHALL").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	sha, err := client.Do(t.Context(), b.ScriptLoad().Script("return redis.call('INCR', KEYS[1])").Build()).ToString()
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := publish.Record(t.Context(), address, func() error {
		return client.Do(t.Context(), b.Evalsha().Sha1(sha).Numkeys(1).Key("k").Build()).Error()
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Do(t.Context(), b.Set().Key("k").Value("no number").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	if _, err := publish.Replay(address, recorded); err == nil || !strings.Contains(err.Error(), "not an integer") {
		t.Errorf("replay: %v, want what Redis says", err)
	}
	if _, err := publish.Record(t.Context(), address, func() error { return nil }); err == nil || !strings.Contains(err.Error(), "no script") {
		t.Errorf("record of nothing: %v", err)
	}
	broken := net.ErrClosed
	if _, err := publish.Record(t.Context(), address, func() error { return broken }); err == nil || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("record of what breaks: %v", err)
	}
}
