package production

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestWithoutMoney(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"NothingInIt", `{"data": {"progress": 50} }`, `{"data": {"progress": 50} }`},
		{"Fields", `{"type":"production_update","data":{"estimatedCost":1,"progress":50,"actualCost":null,"costPerPortion":{"a":[1]}},"timestamp":1.50}`,
			`{"type":"production_update","data":{"progress":50},"timestamp":1.50}`},
		{"AllOfIt", `{"data":{"actualCost":1}}`, `{"data":{}}`},
		{"First", `[{"actualCost":1,"a":"\u00e9"},2]`, `[{"a":"\u00e9"},2]`},
		{"Last", `{"a":1,"overallRating":88}`, `{"a":1}`},
		{"WrittenWithEscapes", `{"estimated\u0043ost":1,"a":2}`, `{"a":2}`},
		{"AsAValue", `{"field":"actualCost"}`, `{"field":"actualCost"}`},
		{"InsideAText", `{"notes":"\"actualCost\":1"}`, `{"notes":"\"actualCost\":1"}`},
		{"CostAlert", `{"alert":{"value":26,"code":"COST_OVER","limit":25,"unit":"%","message":{"value":1}}}`,
			`{"alert":{"code":"COST_OVER","message":{"value":1}}}`},
		{"CostAlertWithEscapes", `{"code":"COST\u005fOVER","value":26}`, `{"code":"COST\u005fOVER"}`},
		{"OtherAlert", `{"alert":{"code":"EAT_BY","value":120},"x":"COST_OVER"}`, `{"alert":{"code":"EAT_BY","value":120},"x":"COST_OVER"}`},
		{"Twice", `{"actualCost":1,"actualCost":2}`, `{}`},
		{"NoJSON", `{"actualCost":1`, ``},
		{"TwoTexts", `{"actualCost":1} {}`, ``},
	} {
		if got := string(WithoutMoney([]byte(c.in))); got != c.want {
			t.Errorf("%s: got %s; want %s", c.name, got, c.want)
		}
	}
}

// FuzzWithoutMoney compares with a decode of the whole: nothing of money is left, nothing else is lost.
func FuzzWithoutMoney(f *testing.F) {
	f.Add([]byte(`{"data":{"estimatedCost":1,"progress":50},"alert":{"code":"COST_OVER","value":1}}`))
	f.Add([]byte(`[{"\u0061ctualCost":[{}]},[],{},"actualCost",-1e5]`))
	f.Add([]byte("\xff{\"actualCost\": 1 , \"b\" :2}"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if strings.ContainsRune(string(in), '\ufffd') || !json.Valid(in) || hasDuplicates(in) {
			WithoutMoney(in) // it must not panic
			return
		}
		out := WithoutMoney(in)
		var a, b any
		if json.Unmarshal(in, &a) != nil {
			return // nested too deeply for encoding/json
		}
		if err := json.Unmarshal(out, &b); err != nil {
			t.Fatalf("%q became %q: %v", in, out, err)
		}
		if want := strip(a); !reflect.DeepEqual(b, want) {
			t.Fatalf("%q became %q; want %v", in, out, want)
		}
	})
}

func strip(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = strip(v[i])
		}
		return v
	case map[string]any:
		about := v["code"] == string(CostOver)
		for name := range v {
			if slices.Contains(moneyNames, name) || about && slices.Contains(costAlertNames, name) {
				delete(v, name)
			} else {
				v[name] = strip(v[name])
			}
		}
	}
	return v
}

// hasDuplicates reports whether an object has a name twice: there a decode keeps less than a copy.
func hasDuplicates(in []byte) bool {
	dec := json.NewDecoder(strings.NewReader(string(in)))
	var walk func() bool
	walk = func() bool {
		tok, err := dec.Token()
		if err != nil {
			return true
		}
		if tok != json.Delim('{') && tok != json.Delim('[') {
			return false
		}
		seen := map[string]bool{}
		for dec.More() {
			if tok == json.Delim('{') {
				name, err := dec.Token()
				if err != nil {
					return true
				}
				word, _ := name.(string)
				if seen[word] {
					return true
				}
				seen[word] = true
			}
			if walk() {
				return true
			}
		}
		_, err = dec.Token()
		return err != nil
	}
	return walk()
}

// TestColumns compares the table of columns with the struct: names, order, and that a change of each field shows.
func TestColumns(t *testing.T) {
	fixed := []string{"id", "sppgId", "source", "batchNumber", "productionDate", "createdAt", "createdBy"}
	var names []string
	typ := reflect.TypeFor[Production]()
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if name == "-" || slices.Contains(fixed, name) {
			continue
		}
		names = append(names, name)
		var a, b Production
		v := reflect.ValueOf(&b).Elem().Field(i)
		switch v.Kind() {
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		case reflect.String:
			v.SetString("PLANNED")
		default:
			v.SetInt(1761000000000)
			if v.Type().Kind() == reflect.Int32 {
				v.SetInt(750)
			}
		}
		data, _ := changed(&a, &b, nil)
		var got map[string]json.RawMessage
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatalf("%s: %s: %v", name, data, err)
		}
		whole, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		var all map[string]json.RawMessage
		if err := json.Unmarshal(whole, &all); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || string(got[name]) != string(all[name]) {
			t.Errorf("%s: the event has %s; want %s", name, data, all[name])
		}
	}
	var columnNames []string
	for _, c := range columns {
		columnNames = append(columnNames, c.name)
		if c.money != slices.Contains(moneyNames, c.name) {
			t.Errorf("%s: money is %t in the table, not so in the list", c.name, c.money)
		}
	}
	if !slices.Equal(names, columnNames) {
		t.Errorf("columns are\n%q; the struct has\n%q", columnNames, names)
	}
}

// TestForRoles: who may not see money sees none, in whatever is asked for.
func TestForRoles(t *testing.T) {
	p := Production{EstimatedCost: new(Rupiah(1)), ActualCost: new(Rupiah(2)), CostPerPortion: new(Rupiah(3))}
	a := Alert{Code: CostOver, Value: 1, Limit: 2, Unit: "%"}
	row := Correction{Field: "actualCost", Value: "7777"}
	e := AuditEntry{Action: "work", Detail: []byte(`{"actualCost":7777,"progress":3}`)}
	e2 := AuditEntry{Action: "correct", Detail: []byte(`{"field":"actualCost","value":"7777","reason":"x"}`)}
	e3 := AuditEntry{Action: "correct", Detail: []byte(`{"field":"notes","value":"7777","reason":"x"}`)}
	k := KPIs{CostVariance: new(1.0), CostPerPortion: new(Rupiah(1)), EfficiencyScore: new(1.0), OverallRating: new(1.0), QualityScore: new(1.0)}
	for _, role := range append(slices.Clone(Roles), Server) {
		sees := role.May(MaySeeMoney)
		r := Result{Production: p, Alert: &a}.For(role)
		if got := r.Production.EstimatedCost != nil && r.Production.ActualCost != nil && r.Production.CostPerPortion != nil; got != sees {
			t.Errorf("%s: production %+v", role, r.Production)
		}
		if got := r.Alert.Value != 0 || r.Alert.Limit != 0; got != sees || a.Value != 1 {
			t.Errorf("%s: alert %+v", role, r.Alert)
		}
		if got := row.For(role).Value != ""; got != sees {
			t.Errorf("%s: correction %+v", role, row.For(role))
		}
		if got := strings.Contains(string(e.For(role).Detail), "7777"); got != sees {
			t.Errorf("%s: audit %s", role, e.For(role).Detail)
		}
		if got := strings.Contains(string(e2.For(role).Detail), "7777"); got != sees {
			t.Errorf("%s: audit %s", role, e2.For(role).Detail)
		}
		if !strings.Contains(string(e3.For(role).Detail), "7777") {
			t.Errorf("%s: audit %s; there is no money in it", role, e3.For(role).Detail)
		}
		kpis := k.For(role)
		if got := kpis.CostVariance != nil || kpis.CostPerPortion != nil || kpis.EfficiencyScore != nil || kpis.OverallRating != nil; got != sees || kpis.QualityScore == nil {
			t.Errorf("%s: figures %+v", role, kpis)
		}
		s := Summary{CostVariance: Mean{Count: 1}, CostPerPortion: Mean{Count: 1}, Efficiency: Mean{Count: 1}, Overall: Mean{Count: 1}}.For(role)
		if got := s.CostVariance.Count+s.CostPerPortion.Count+s.Efficiency.Count+s.Overall.Count > 0; got != sees {
			t.Errorf("%s: summary %+v", role, s)
		}
	}
}

// TestMoneyIsMarked: each event that has money in it says so.
func TestMoneyIsMarked(t *testing.T) {
	s := newStage(t)
	c := plan()
	c.EstimatedCost = new(Rupiah(9_000_001))
	id := s.create(c)
	s.must(s.svc.Update(t.Context(), s.on("manajer", id), id, Update{EstimatedCost: new(Rupiah(20_000_001))})) // COST_OVER, too
	s.must(s.svc.Work(t.Context(), s.on("akuntan", id), id, Work{ActualCost: new(Rupiah(30_000_001))}))
	s.must(s.svc.Update(t.Context(), s.on("manajer", id), id, Update{Notes: new("x")}))
	s.must(s.svc.Cancel(t.Context(), s.on("manajer", id), id, Cancel{"Bahan tidak datang"}))
	s.must(s.svc.Correct(t.Context(), s.as("kepala"), id, Correct{"actualCost", "30000001", "Salah ketik nol satu"}))
	marked := 0
	for _, e := range s.store.kitchen(sppg).events {
		without := string(WithoutMoney(e.Payload))
		if e.Money != (without != string(e.Payload)) {
			t.Errorf("marked %t: %s", e.Money, e.Payload)
		}
		if strings.Contains(without, "00001") {
			t.Errorf("there is money left in %s", without)
		}
		if e.Money {
			marked++
		}
	}
	if marked < 4 {
		t.Errorf("%d events are marked; want those of create, update, work and the alerts about costs", marked)
	}
}
