package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"kentongan/realtime"
	"kentongan/realtime/schema"
	"kentongan/tenant"
)

func TestDefaultPatternsHaveSchemas(t *testing.T) {
	used := map[string]bool{"production-fields.json": true} // the others refer to it
	for _, p := range realtime.DefaultPatterns() {
		s, ok := schema.Default(p.Spelling)
		if !ok {
			t.Errorf("%s has no schema", p.Spelling)
			continue
		}
		used[s.Name()] = true
	}
	for _, name := range schema.Shipped() {
		if !used[name] {
			t.Errorf("%s is in the binary and belongs to no pattern", name)
		}
	}
	if s, ok := schema.Default("orders:{tenant}:*"); ok {
		t.Errorf("a pattern that is none of the defaults has %s", s.Name())
	}
}

func TestContract(t *testing.T) {
	for _, c := range []struct{ name, spelling, data, want string }{
		{"Update", "production:updates:{tenant}", `{"type":"production_update","productionId":"p1","data":{"status":"COOKING",` +
			`"progress":40},"timestamp":1761000000000,"updatedBy":"u1"}`, ""},
		{"TypeAndDataAlone", "production:updates:{tenant}", `{"type":"production_update","data":{"progress":40.5}}`, ""},
		{"IsoDates", "production:updates:{tenant}", `{"type":"production_created","productionId":"p1","data":{"id":"p1",` +
			`"plannedStartTime":"2026-11-26T01:00:00.000Z","actualEndTime":null},"timestamp":1}`, ""},
		{"Broadcast", "production:updates:{tenant}", `{"type":"broadcast","channel":"c","message":{},"timestamp":"2026-11-26"}`, ""},
		{"StatusOfNoState", "production:updates:{tenant}", `{"type":"production_update","data":{"status":"DONE"}}`, "/data/status"},
		{"ProgressOver100", "production:updates:{tenant}", `{"type":"production_update","data":{"progress":101}}`, "/data/progress"},
		{"NoData", "production:updates:{tenant}", `{"type":"production_update"}`, ""},
		{"TimeAsText", "production:updates:{tenant}", `{"type":"production_update","data":{},"timestamp":"now"}`, "/timestamp"},
		{"List", "production:updates:{tenant}", `[]`, ""},
		{"Text", "production:updates:{tenant}", `"{}"`, ""},
		{"Alert", "production:alerts:{tenant}", `{"type":"production_alert","productionId":"p1","alert":{"code":"EAT_BY",` +
			`"severity":"HIGH","message":{"id":"x","en":"y"}},"timestamp":1761000000000}`, ""},
		{"AlertOfNoSeverity", "production:alerts:{tenant}", `{"type":"production_alert","alert":{"severity":"high"}}`, "/alert/severity"},
		{"Older", "sppg:{tenant}:production:created", `{"eventType":"PRODUCTION_CREATED","timestamp":"2026-11-26T01:00:00Z",` +
			`"correlationId":"prod-1","data":{"id":"1","batchNumber":"B","menuName":"m","plannedPortions":10,"status":"PLANNED",` +
			`"estimatedCost":5},"metadata":{"createdBy":"u","sppgId":"s","subscriptionPlan":"BASIC"}}`, ""},
		{"Menu", "menu:updates:{tenant}", `{"type":"menu_update","data":{"id":"m"},"timestamp":1}`, ""},
		{"MenuWithoutType", "menu:updates:{tenant}", `{"data":{}}`, ""},
		{"Notice", "system-alert", `{"anything":1}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := schema.Default(c.spelling)
			wrong := s.Check([]byte(c.data))
			bad := c.want != "" || c.name == "NoData" || c.name == "List" || c.name == "Text" || c.name == "MenuWithoutType"
			if (wrong != nil) != bad {
				t.Fatalf("%s: got %v, want a mismatch: %v", c.data, wrong, bad)
			}
			if bad && wrong.Faults[0].Path != c.want {
				t.Errorf("%s: got path %q, want %q", c.data, wrong.Faults[0].Path, c.want)
			}
			if bad && !errors.Is(wrong, realtime.ErrInvalid) {
				t.Error("a mismatch is no ErrInvalid")
			}
		})
	}
}

// Faults name places and what would be right. What was written there may be anybody's business but the log's.
func TestFaultsHoldNoValues(t *testing.T) {
	const text = `{"type":"object","required":["need"],"additionalProperties":false,"properties":{
		"need":{},"a":{"type":"number"},"b":{"enum":["x"]},"c":{"const":1},"d":{"pattern":"^x$"},"e":{"format":"date-time"},
		"f":{"minimum":100},"g":{"maxLength":2},"h":{"maxItems":1},"i":{"anyOf":[{"type":"null"},{"const":true}]},"j":{"not":{}},
		"k":{"multipleOf":5},"l":{"uniqueItems":true},"m":{"contains":{"const":1}},"n":{"type":"object","minProperties":3}}}`
	s, err := schema.Compile("all.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	const secret = "Rahasia42"
	for _, c := range []struct{ member, value, want string }{
		{"a", `"` + secret + `"`, "number"}, {"b", `"` + secret + `"`, `"x"`}, {"c", `"` + secret + `"`, "1"},
		{"d", `"` + secret + `"`, "^x$"}, {"e", `"` + secret + `"`, "date-time"}, {"f", "42", "at least 100"},
		{"g", `"` + secret + `"`, "at most 2"}, {"h", `["` + secret + `",1]`, "at most 1"}, {"i", `"` + secret + `"`, "shapes"},
		{"j", `"` + secret + `"`, "not allowed"}, {"k", "4.2e1", "multiple of 5"}, {"l", `["` + secret + `","` + secret + `"]`, "twice"},
		{"m", `["` + secret + `"]`, "contain"}, {"n", `{"x":"` + secret + `"}`, "at least 3"},
	} {
		wrong := s.Check([]byte(`{"need":1,"` + c.member + `":` + c.value + `}`))
		if wrong == nil || len(wrong.Faults) != 1 {
			t.Errorf("%s: got %v, want one fault", c.member, wrong)
			continue
		}
		f := wrong.Faults[0]
		if f.Path != "/"+c.member || !strings.Contains(f.Problem, c.want) {
			t.Errorf("%s: got %q %q, want a problem with %q", c.member, f.Path, f.Problem, c.want)
		}
		if strings.Contains(wrong.Error(), secret) || strings.Contains(f.Problem, "42") {
			t.Errorf("%s: %q repeats the value", c.member, wrong.Error())
		}
	}
	if wrong := s.Check([]byte(`{"z\n":1}`)); len(wrong.Faults) != 2 || strings.Contains(wrong.Error(), "\n") {
		t.Errorf("got %q, want two faults in one line", wrong.Error())
	}
}

func TestFaultsAreBounded(t *testing.T) {
	s, err := schema.Compile("n.json", []byte(`{"additionalProperties":{"type":"null"}}`))
	if err != nil {
		t.Fatal(err)
	}
	many := map[string]int{}
	for i := range 500 {
		many[strings.Repeat("n", i+1)] = i
	}
	data, err := json.Marshal(many)
	if err != nil {
		t.Fatal(err)
	}
	wrong := s.Check(data)
	if n := len(wrong.Faults); n != 8 {
		t.Errorf("got %d faults, want 8", n)
	}
	if n := len(wrong.Error()); n > 4000 {
		t.Errorf("the text has %d bytes", n)
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"NoJSON", `{`, "is no JSON"},
		{"TwoValues", `{} {}`, "is no JSON"},
		{"OlderDraft", `{"$schema":"http://json-schema.org/draft-07/schema#"}`, "$schema must be"},
		{"OwnID", `{"$id":"https://a.example/x"}`, "leave $id away"},
		{"WrongKeyword", `{"type":"text"}`, "type"},
		{"WrongPattern", `{"pattern":"("}`, "pattern"},
		{"Web", `{"$ref":"https://a.example/x.json"}`, "own parts only"},
		{"File", `{"$ref":"file:///etc/passwd"}`, "own parts only"},
		{"Neighbour", `{"$ref":"other.json"}`, "own parts only"},
		{"NoSuchPart", `{"$ref":"#/$defs/x"}`, "$defs/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := schema.Compile("orders.json", []byte(c.text))
			if !errors.Is(err, schema.ErrSchema) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want an ErrSchema with %q", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q has more than one line", err)
			}
		})
	}
	if _, err := schema.Compile("orders.json", []byte(`{"properties":{"data":{"$ref":"production-fields.json"}}}`)); err != nil {
		t.Errorf("a schema of the binary cannot be referred to: %v", err)
	}
}

func rules(t *testing.T, mode schema.Mode, spellings ...string) []schema.Rule {
	t.Helper()
	s, err := schema.Compile("typed.json", []byte(`{"type":"object","required":["type"]}`))
	if err != nil {
		t.Fatal(err)
	}
	var list []schema.Rule
	for _, spelling := range spellings {
		list = append(list, schema.Rule{Spelling: spelling, Mode: mode, Schema: s})
	}
	return list
}

func newNames(t *testing.T, spellings ...string) *realtime.Names {
	t.Helper()
	var patterns []realtime.Pattern
	for _, s := range spellings {
		patterns = append(patterns, realtime.Pattern{Spelling: s})
	}
	names, err := realtime.NewNames(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestSet(t *testing.T) {
	names := newNames(t, "a:{tenant}", "b:{tenant}", "orders:{tenant}:*", "news", "free:{tenant}")
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	all := append(rules(t, schema.Refuse, "a:{tenant}", "orders:{tenant}:*", "news"), rules(t, schema.Report, "b:{tenant}")...)
	all = append(all, schema.Rule{Spelling: "free:{tenant}", Mode: schema.Off})
	s, err := schema.NewSet(names, all, log)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ch      realtime.Channel
		refused bool
	}{
		{realtime.Channel{Tenant: "s1", Name: "a"}, true},
		{realtime.Channel{Tenant: "s1", Name: "b"}, false},
		{realtime.Channel{Tenant: "s1", Name: "orders:new"}, true},
		{realtime.Channel{Tenant: tenant.Global, Name: "news"}, true},
		{realtime.Channel{Tenant: "s1", Name: "free"}, false},
		{realtime.Channel{Tenant: "s1", Name: "news"}, false},          // that is no channel
		{realtime.Channel{Tenant: tenant.Global, Name: "a"}, false},    // neither
		{realtime.Channel{Tenant: "s1", Name: "orders:a:b"}, false},    // neither
		{realtime.Channel{Tenant: "s2", Name: "orders:another"}, true}, // the same pattern
	} {
		if wrong := s.Judge(c.ch, []byte(`{"secret":"Rahasia42"}`)); (wrong != nil) != c.refused {
			t.Errorf("%v: got %v, want it refused: %v", c.ch, wrong, c.refused)
		}
		if wrong := s.Judge(c.ch, []byte(`{"type":"x"}`)); wrong != nil {
			t.Errorf("%v: what fits is refused: %v", c.ch, wrong)
		}
	}
	for range 3 {
		s.Judge(realtime.Channel{Tenant: "s1", Name: "b"}, []byte(`[]`))
	}
	if n := strings.Count(out.String(), "does not fit"); n != 1+1 { // the message and its why: one line
		t.Errorf("got %d mentions in the log, want one line:\n%s", n, out.String())
	}
	if strings.Contains(out.String(), "Rahasia42") {
		t.Error("data is in the log")
	}
	wantStats(t, s)
}

func wantStats(t *testing.T, s *schema.Set) {
	t.Helper()
	var spellings []string
	for _, st := range s.Stats() {
		spellings = append(spellings, st.Spelling)
		switch st.Spelling {
		case "b:{tenant}":
			if st.Checked != 5 || st.Reported != 4 || st.Refused != 0 || st.Last == nil || st.Last.Channel != "b:s1" {
				t.Errorf("got %+v", st)
			}
		case "orders:{tenant}:*":
			if st.Checked != 4 || st.Refused != 2 || st.Last == nil || st.Last.Tenant != "s2" || st.Schema != "typed.json" {
				t.Errorf("got %+v", st)
			}
		case "free:{tenant}":
			if st.Checked != 0 {
				t.Errorf("got %+v", st)
			}
		}
	}
	if got, want := strings.Join(spellings, " "), "a:{tenant} orders:{tenant}:* news b:{tenant} free:{tenant}"; got != want {
		t.Errorf("got the patterns %q, want %q", got, want)
	}
}

func TestSetThatHasNothingToDo(t *testing.T) {
	names := newNames(t, "a:{tenant}")
	s, err := schema.NewSet(names, rules(t, schema.Off, "a:{tenant}"), nil)
	if s != nil || err != nil {
		t.Errorf("got %v, %v, want nothing", s, err)
	}
	if wrong := s.Judge(realtime.Channel{Tenant: "s1", Name: "a"}, []byte("1")); wrong != nil || s.Stats() != nil {
		t.Errorf("a Set that is nil refuses: %v", wrong)
	}
	if _, err := schema.NewSet(names, []schema.Rule{{Spelling: "a:{tenant}", Mode: schema.Refuse}}, nil); !errors.Is(err, schema.ErrSchema) {
		t.Errorf("got %v, want an ErrSchema for a rule without a schema", err)
	}
}

// FuzzCheck: no message, however strange, makes a panic, a text of more than one line, or an endless one.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{"type":"production_update","data":{"status":"COOKING"}}`, `{"type":1}`, `[]`, `"\ud800"`, "{\"\xff\":1}", `1e999`, ``, `{"a":1}{`,
	} {
		f.Add([]byte(seed))
	}
	var all []*schema.Schema
	for _, p := range realtime.DefaultPatterns() {
		s, _ := schema.Default(p.Spelling)
		all = append(all, s)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, s := range all {
			wrong := s.Check(data)
			if wrong == nil {
				if !json.Valid(data) && len(bytes.TrimSpace(data)) == 0 {
					t.Fatalf("%q fits", data)
				}
				continue
			}
			if text := wrong.Error(); strings.ContainsAny(text, "\n\r") || len(text) > 8000 || len(wrong.Faults) == 0 {
				t.Fatalf("%q: text %q", data, text)
			}
		}
	})
}

var benchData = []byte(`{"type":"production_update","productionId":"cmi3v9x1e0001l204abcd1234","data":{"status":"COOKING","progress":45,` +
	`"actualTemperature":81.5,"headCook":"cmi3v9x1e0001l204abcd0007","notes":"Nasi sudah matang, lanjut ke lauk","version":12},` +
	`"timestamp":1761000000000,"updatedBy":"cmi3v9x1e0001l204abcd0009"}`)

func BenchmarkJudge(b *testing.B) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		b.Fatal(err)
	}
	ch := realtime.Channel{Tenant: "sppg_1", Name: "production:updates"}
	for _, mode := range []schema.Mode{schema.Off, schema.Report, schema.Refuse} {
		b.Run(string(mode), func(b *testing.B) {
			var list []schema.Rule
			for _, p := range realtime.DefaultPatterns() {
				s, _ := schema.Default(p.Spelling)
				list = append(list, schema.Rule{Spelling: p.Spelling, Mode: mode, Schema: s})
			}
			s, err := schema.NewSet(names, list, nil)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if s.Judge(ch, benchData) != nil {
					b.Fatal("it does not fit")
				}
			}
		})
	}
}
