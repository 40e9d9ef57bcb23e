package realtime_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"kentongan/realtime"
)

func hidden(t testing.TB, names ...string) *realtime.HiddenFields {
	t.Helper()
	h, err := realtime.NewHiddenFields(names)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestHiddenFields(t *testing.T) {
	h := hidden(t, "cost", "price")
	for name, row := range map[string][2]string{
		"Only":             {`{"cost":1}`, `{}`},
		"First":            {`{"cost":1,"a":2}`, `{"a":2}`},
		"Last":             {`{"a":2,"cost":1}`, `{"a":2}`},
		"Between":          {`{"a":1,"cost":{"cost":[1,{}]},"b":2}`, `{"a":1,"b":2}`},
		"AllOfThem":        {`{"price":1,"cost":"x"}`, `{}`},
		"Twice":            {`{"cost":1,"a":0,"cost":2}`, `{"a":0}`},
		"Deep":             {`{"data":[[{"x":{"price":9}}],7]}`, `{"data":[[{"x":{}}],7]}`},
		"SpaceStays":       {" { \"a\" : 1.50 ,\n \"cost\" : 7 ,\t\"b\":[ ] } ", " {\"a\" : 1.50 ,\"b\":[] } "},
		"SpelledWithU":     {`{"\u0063ost":1,"a":2}`, `{"a":2}`},
		"TextOfJSON":       {`{"message":"{\"cost\":5,\"a\":\"b\"}"}`, `{"message":"{\"a\":\"b\"}"}`},
		"TextInTextOfJSON": {`{"m":"{\"m\":\"{\\\"cost\\\":5}\"}"}`, `{"m":"{\"m\":\"{}\"}"}`},
		"Quotes":           {`{"a":"\",\"cost\":1,\"","cost":"}{\"","b":1}`, `{"a":"\",\"cost\":1,\"","b":1}`},
		"EmptyArray":       {`{"cost":[],"a":[ ]}`, `{"a":[]}`},
		"Scalar":           {`"cost"`, `"cost"`},
		"AsAValue":         {`{"sort":"cost","x":["price"]}`, `{"sort":"cost","x":["price"]}`},
		"LongerName":       {`{"costs":1,"Cost":2}`, `{"costs":1,"Cost":2}`},
		"NotJSON":          {`{"cost":1`, `null`},
		"Nothing":          {`{"a":1}`, `{"a":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := h.Without([]byte(row[0])); string(got) != row[1] {
				t.Errorf("got %s, want %s", got, row[1])
			}
		})
	}
	marked, err := realtime.NewHiddenFields([]string{"cost"},
		realtime.Mark{Member: "code", Values: []string{"COST_OVER"}, Hides: []string{"value", "limit"}},
		realtime.Mark{Member: "field", Values: []string{"cost"}, Hides: []string{"value"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string][2]string{
		"Before":       {`{"alert":{"value":1,"limit":2,"code":"COST_OVER","x":3}}`, `{"alert":{"code":"COST_OVER","x":3}}`},
		"Behind":       {`[{"code":"COST_OVER","value":1}]`, `[{"code":"COST_OVER"}]`},
		"AnotherCode":  {`{"code":"WASTE_HIGH","value":1,"m":"COST_OVER"}`, `{"code":"WASTE_HIGH","value":1,"m":"COST_OVER"}`},
		"Inside":       {`{"code":"COST_OVER","x":{"value":1}}`, `{"code":"COST_OVER","x":{"value":1}}`},
		"Twice":        {`{"code":"COST_OVER","code":"A","value":1}`, `{"code":"COST_OVER","code":"A"}`},
		"SpelledWithU": {`{"code":"\u0043OST_OVER","value":1}`, `{"code":"\u0043OST_OVER"}`},
		"ByField":      {`{"field":"cost","value":"1"}`, `{"field":"cost"}`},
		"NoText":       {`{"code":["COST_OVER"],"value":1}`, `{"code":["COST_OVER"],"value":1}`},
	} {
		t.Run("Marked/"+name, func(t *testing.T) {
			if got := marked.Without([]byte(row[0])); string(got) != row[1] {
				t.Errorf("got %s, want %s", got, row[1])
			}
		})
	}
	t.Run("NilHidesNothing", func(t *testing.T) {
		if none := hidden(t); none != nil || none.In([]byte(`{"cost":1}`)) || string(none.Without([]byte(`{"cost":1}`))) != `{"cost":1}` {
			t.Error("no names hide something")
		}
	})
	for name, names := range map[string][]string{
		"Empty": {""}, "Quote": {`a"b`}, "Dot": {"data.cost"}, "Umlaut": {"prïce"}, "Long": {strings.Repeat("x", 65)}, "Many": many(33),
	} {
		t.Run("BadName/"+name, func(t *testing.T) {
			if _, err := realtime.NewHiddenFields(names); err == nil {
				t.Errorf("%q were taken", names)
			}
		})
	}
}

func many(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprint("f", i)
	}
	return names
}

// without is the same, done on decoded values.
func without(v any) any {
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, inner := range v {
			if name != "cost" && name != "price" {
				kept[name] = without(inner)
			}
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = without(v[i])
		}
		return kept
	case string:
		if inner, err := decode([]byte(v)); err == nil && len(v) > 0 && strings.ContainsAny(strings.TrimLeft(v, " \t\r\n")[:1], "{[") {
			return without(inner) // as it is compared, and not as it is written
		}
	}
	return v
}

func decode(data []byte) (v any, err error) {
	if !json.Valid(data) {
		return nil, fmt.Errorf("no JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// opened decodes the texts of v that are objects or arrays, so that two ways to write them compare equal.
func opened(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name := range v {
			v[name] = opened(v[name])
		}
	case []any:
		for i := range v {
			v[i] = opened(v[i])
		}
	case string:
		if trimmed := strings.TrimLeft(v, " \t\r\n"); trimmed != "" && strings.ContainsAny(trimmed[:1], "{[") {
			if inner, err := decode([]byte(v)); err == nil {
				return opened(inner)
			}
		}
	}
	return v
}

func checkHidden(t interface{ Fatalf(string, ...any) }, h *realtime.HiddenFields, data []byte) {
	before := string(data)
	got := h.Without(data)
	if string(data) != before {
		t.Fatalf("%q was written to", before)
	}
	v, err := decode(data)
	if err != nil || !utf8.Valid(data) {
		return // the doors let none in
	}
	stripped, err := decode(got)
	if err != nil {
		t.Fatalf("%q became %q: %v", data, got, err)
	}
	if want := without(opened(v)); !reflect.DeepEqual(opened(stripped), want) {
		t.Fatalf("%q became %q, want %v", data, got, want)
	}
	if again := h.Without(got); string(again) != string(got) {
		t.Fatalf("%q became %q, and then %q", data, got, again)
	}
}

// TestHiddenFieldsOfAnyJSON compares with the same on decoded values.
func TestHiddenFieldsOfAnyJSON(t *testing.T) {
	h := hidden(t, "cost", "price")
	name := rapid.SampledFrom([]string{`"cost"`, `"price"`, `"\u0063ost"`, `"a"`, `"costs"`, `"\n\u00e9"`, `""`})
	space := rapid.SampledFrom([]string{"", "", " ", "\n\t"})
	var value func(depth int) *rapid.Generator[string]
	value = func(depth int) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			kind := rapid.IntRange(0, 6).Draw(t, "kind")
			if depth == 0 {
				kind = min(kind, 2)
			}
			around := space.Draw(t, "space")
			var text string
			switch kind {
			case 0:
				text = rapid.SampledFrom([]string{"1", "-2.50e1", "true", "null"}).Draw(t, "scalar")
			case 1, 2:
				quoted, _ := json.Marshal(rapid.StringOf(rapid.RuneFrom([]rune(`ab"\{}[],:é`))).Draw(t, "text"))
				text = string(quoted)
			case 3:
				quoted, _ := json.Marshal(value(depth-1).Draw(t, "inner"))
				text = string(quoted)
			case 4:
				text = "[" + strings.Join(rapid.SliceOfN(value(depth-1), 0, 3).Draw(t, "items"), ",") + "]"
			default:
				members := make([]string, rapid.IntRange(0, 4).Draw(t, "members"))
				for i := range members {
					members[i] = name.Draw(t, "name") + around + ":" + value(depth-1).Draw(t, "value")
				}
				text = "{" + around + strings.Join(members, ",") + "}"
			}
			return around + text + around
		})
	}
	rapid.Check(t, func(t *rapid.T) { checkHidden(t, h, []byte(value(4).Draw(t, "data"))) })
}

func FuzzHiddenFields(f *testing.F) {
	for _, s := range []string{
		`{"cost":1,"a":[{"price":{}}]}`, `{"\u0063ost":1}`, `"{\"cost\":1}"`, `{"a":"\\","cost":"\"}"}`, `{"cost":1,}`, `[`, `{"cost"`, `{"cost":"`, "\"\xff\"",
	} {
		f.Add([]byte(s))
	}
	h := hidden(f, "cost", "price")
	f.Fuzz(func(t *testing.T, data []byte) { checkHidden(t, h, data) })
}

// BenchmarkHiddenFields is what a publication costs that has nothing to hide, and one that has.
func BenchmarkHiddenFields(b *testing.B) {
	h := hidden(b, "estimatedCost", "actualCost", "costPerPortion", "costVariance", "efficiencyScore", "overallRating")
	for name, cost := range map[string]string{"Without": "", "With": `"actualCost":19000000,`} {
		data := []byte(`{"type":"production_update","data":{` + cost + `"x":"` + strings.Repeat("y", 220) + `","n":[1,2,3]},"productionId":"p1","timestamp":1}`)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				h.Without(data)
			}
		})
	}
}
