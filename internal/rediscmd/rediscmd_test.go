package rediscmd

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"pgregory.net/rapid"

	"kentongan/internal/testenv"
)

func connect(t *testing.T) rueidis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{testenv.Redis(t)}, DisableCache: true, ForceSingleClient: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestTableIsTrue compares every row with what Redis says of its own commands.
func TestTableIsTrue(t *testing.T) {
	c := connect(t)
	for _, name := range Names() {
		infos, err := c.Do(t.Context(), c.B().Arbitrary("COMMAND", "INFO", name).Build()).ToArray()
		if err != nil || len(infos) != 1 {
			t.Fatalf("COMMAND INFO %s: %v", name, err)
		}
		info, err := infos[0].ToArray()
		if err != nil {
			t.Errorf("%s: Redis does not know it: %v", name, err)
			continue
		}
		flags, err := info[2].AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		categories, err := info[6].AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"blocking", "admin", "noscript", "pubsub", "movablekeys", "@dangerous", "@admin", "@blocking", "@scripting", "@connection"} {
			if slices.Contains(flags, bad) || slices.Contains(categories, bad) {
				t.Errorf("%s is %s: it must not be passed on", name, bad)
			}
		}
		row, _ := Find(name)
		if write := slices.Contains(flags, "write"); row.Write != write {
			t.Errorf("%s writes: %v, says Redis; the table says %v", name, write, row.Write)
		}
		var places [3]int64
		for i := range places {
			if places[i], err = info[3+i].AsInt64(); err != nil {
				t.Fatal(err)
			}
		}
		if ours := [3]int64{int64(row.first), int64(row.last), int64(row.step)}; ours != places {
			t.Errorf("%s has its keys at %v, says Redis; the table says %v", name, places, ours)
		}
	}
}

// TestKeys compares with the keys that Redis itself finds in commands with random arguments.
func TestKeys(t *testing.T) {
	c := connect(t)
	names := slices.DeleteFunc(Names(), func(name string) bool { return name == "SCAN" })
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom(names).Draw(t, "name")
		words := rapid.SliceOfN(rapid.StringMatching(`(kentongan:)?[a-c]?`), 0, 6).Draw(t, "args")
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		row, _ := Find(name)
		keys, err := row.Keys(args)
		want, says := c.Do(context.Background(), c.B().Arbitrary("COMMAND", "GETKEYS", name).Args(words...).Build()).AsStrSlice()
		if says != nil {
			return // Redis refuses such a command: it may be passed on or not
		}
		var got []string
		for _, k := range keys {
			got = append(got, string(k))
		}
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s %q: keys %q, %v; Redis says %q", name, words, got, err, want)
		}
		reaches, err := row.Reaches("kentongan:", args)
		if should := slices.ContainsFunc(want, func(k string) bool { return strings.HasPrefix(k, "kentongan:") }); err != nil || reaches != should {
			t.Fatalf("%s %q: reaches %v, %v; want %v", name, words, reaches, err, should)
		}
	})
}

func TestTooFewArguments(t *testing.T) {
	for name, args := range map[string]string{"GET": "", "DEL": "", "RENAME": "a", "MSET": "", "XADD": ""} {
		row, _ := Find(name)
		if _, err := row.Reaches("kentongan:", bytes.Fields([]byte(args))); err == nil {
			t.Errorf("%s %s has its keys", name, args)
		}
	}
}

// TestScan has a real Redis with keys of all sorts: a scan that is let through shows none of the protected ones.
func TestScan(t *testing.T) {
	c := connect(t)
	for _, key := range []string{"kentongan:s", "kentongan:", "bergizi:cache:a", "k", "kentonga", "kentongan"} {
		if err := c.Do(t.Context(), c.B().Set().Key(key).Value("1").Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	row, _ := Find("SCAN")
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		words := []string{"0"}
		for range rapid.IntRange(0, 2).Draw(t, "options") {
			words = append(words, rapid.SampledFrom([]string{"MATCH", "match", "COUNT"}).Draw(t, "option"),
				rapid.StringMatching(`(b|be|bergizi|k|kentongan:|kentonga)?(\*|\?|\[k\]|\\k|:|[a-z]){0,3}|MATCH|100`).Draw(t, "value"))
		}
		args := make([][]byte, len(words))
		for i, w := range words {
			args[i] = []byte(w)
		}
		if reaches, err := row.Reaches("kentongan:", args); err != nil || reaches {
			return
		}
		passed++
		answer, err := c.Do(context.Background(), c.B().Arbitrary("SCAN").Args(words...).Build()).ToArray()
		if err != nil {
			return
		}
		keys, err := answer[1].AsStrSlice()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if strings.HasPrefix(key, "kentongan:") {
				t.Fatalf("SCAN %q shows %q", words, key)
			}
		}
	})
	if passed == 0 {
		t.Error("no scan was let through at all")
	}
}

func TestWhatIsNeverPassedOn(t *testing.T) {
	for name := range strings.FieldsSeq("CONFIG FLUSHALL FLUSHDB KEYS MONITOR SHUTDOWN DEBUG SCRIPT EVAL MULTI EXEC WATCH BLPOP XREADGROUP ACL") {
		if _, ok := Find(name); ok || Refusal(name) == "" {
			t.Errorf("%s may be passed on, or nobody says why not: %q", name, Refusal(name))
		}
	}
	for _, name := range Names() {
		if why := Refusal(name); why != "" {
			t.Errorf("%s is in the table, and refused because %s", name, why)
		}
	}
	for _, name := range Cache() {
		if _, ok := Find(name); !ok {
			t.Errorf("%s is not in the table", name)
		}
	}
}

// TestDocument compares the lists of docs/protocol.md with the table.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile("../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	more := slices.DeleteFunc(Names(), func(name string) bool { return slices.Contains(Cache(), name) })
	for mark, want := range map[string][]string{"default": slices.Sorted(slices.Values(Cache())), "more": more} {
		_, list, ok := strings.Cut(string(page), "<!-- commands: "+mark+" -->")
		list, _, _ = strings.Cut(list, ".")
		if got := strings.Fields(strings.ReplaceAll(list, "`", "")); !ok || !slices.Equal(got, want) {
			t.Errorf("docs/protocol.md lists as %s\n%q\nwant\n%q", mark, got, want)
		}
	}
}
