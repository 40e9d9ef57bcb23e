package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"kentongan/production"
)

// FuzzDecode reads any bytes as any body. What is taken is read again from what it writes, and what is refused says where.
func FuzzDecode(f *testing.F) {
	kinds := []func() any{
		func() any { return new(CreateBody) }, func() any { return new(UpdateBody) }, func() any { return new(WorkBody) },
		func() any { return new(TransitionBody) }, func() any { return new(CancelBody) }, func() any { return new(ReadingBody) },
		func() any { return new(CheckBody) }, func() any { return new(SampleBody) }, func() any { return new(DispatchBody) },
		func() any { return new(CorrectionBody) }, func() any { return new(AcknowledgeBody) }, func() any { return new(ResolveBody) },
		func() any { return new(KitchenBody) }, func() any { return new(ListsBody) },
	}
	for kind, body := range []string{
		`{"programId":"p","menuId":"m","productionDate":"2026-11-26","plannedPortions":1,"plannedStartTime":"2026-11-25T13:00:00Z","plannedEndTime":"2026-11-25T23:00:00+07:00"}`,
		`{"version":1,"dishes":[{"name":"a","cold":true}],"photos":["https://example.com/a.jpg"],"controlMode":"HOT"}`,
		`{"progress":40,"wasteAmount":1.5,"cookedDishes":[{"name":"Nasi","cookedAt":"2026-11-25T23:00:00.5Z"}]}`,
		`{"to":"COOKING","override":true,"reason":"x","work":{"actualPortions":9}}`,
		`{"reason":"Bahan tidak datang"}`,
		`{"kind":"CORE","celsius":-12.5,"takenAt":"2026-11-25T23:00:00Z","source":"PROBE"}`,
		`{"checkType":"HYGIENE","parameter":"a","actualValue":"b","score":90,"severity":"HIGH"}`,
		`{"keepUntil":null,"place":"x"}`, `{"portions":9}`, `{"field":"notes","value":"x","reason":"y"}`, `{}`, `{"correctiveAction":"x"}`,
		`{"version":0,"limits":{"coreMinC":77.5},"timeZone":"Asia/Jayapura"}`,
		`{"staff":[{"id":"a","name":"b","role":"SPPG_STAFF_QC","pin":"1234","active":false}],"menus":[{"id":"a","name":"b","dishes":[{"name":"c"}]}]}`,
	} {
		f.Add(kind, []byte(body))
	}
	f.Add(0, []byte(`{"a":1,"a":2}`))
	f.Add(0, []byte(strings.Repeat("[", 100)))
	registry := bare(f).huma.OpenAPI().Components.Schemas
	f.Fuzz(func(t *testing.T, kind int, body []byte) {
		kind %= len(kinds)
		if kind < 0 {
			kind += len(kinds)
		}
		v := kinds[kind]()
		s := registry.Schema(reflect.TypeOf(v), true, "")
		err := decode(registry, s, body, v)
		if err != nil {
			p, ok := errors.AsType[*Problem](err)
			if !ok || p.Detail == "" || p.Status != http.StatusBadRequest && p.Status != http.StatusUnprocessableEntity {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		again := kinds[kind]()
		if err := json.Unmarshal(text, again); err != nil {
			t.Fatal(err)
		}
		if back, err := json.Marshal(again); err != nil || !bytes.Equal(text, back) {
			t.Fatalf("reads what is written as %s, and from that %s", text, back)
		}
	})
}

// FuzzCursors: a cursor is taken only if it is one of ours.
func FuzzCursors(f *testing.F) {
	f.Add(batchCursor(production.BatchPlace{Day: "2026-11-26", PlannedStart: 1, ID: "a"}))
	f.Add(alertCursor(production.AlertPlace{RaisedAt: 1, ID: "a"}))
	f.Add(cursor("b", "2026-11-26", "01", "a"))
	f.Add("!")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parseBatchCursor(text); err == nil && p != nil {
			if again, err := parseBatchCursor(batchCursor(*p)); err != nil || *again != *p {
				t.Fatalf("%q is %+v, and written again %+v, %v", text, p, again, err)
			}
		}
		if p, err := parseAlertCursor(text); err == nil && p != nil {
			if again, err := parseAlertCursor(alertCursor(*p)); err != nil || *again != *p {
				t.Fatalf("%q is %+v, and written again %+v, %v", text, p, again, err)
			}
		}
	})
}

// FuzzCSV: whatever a file is, it is a list or a problem that says where.
func FuzzCSV(f *testing.F) {
	f.Add("staff", []byte("id,name,role,active,pin\na,A,SPPG_STAFF_QC,true,1234\n"))
	f.Add("menus", []byte("\uFEFFid;name;dishes;coldDishes;targetGroups\nm;M;a|b;c;\n"))
	f.Add("programmes", []byte("id,name\n\"a\",\"b\"\"c\"\n"))
	f.Add("staff", []byte("id,name,id\n"))
	f.Fuzz(func(t *testing.T, which string, file []byte) {
		if columns[which] == nil {
			return
		}
		b, err := parseList(which, file)
		if err != nil {
			if p, ok := errors.AsType[*Problem](err); !ok || p.Detail == "" {
				t.Fatalf("refused with %v", err)
			}
			return
		}
		if len(b.Staff)+len(b.Menus)+len(b.Programmes) > maxRows || len(b.lines) != len(b.Staff) {
			t.Fatalf("%d, %d, %d entries, %d lines", len(b.Staff), len(b.Menus), len(b.Programmes), len(b.lines))
		}
	})
}

// FuzzETag: what is read as a version is written as it came, but for the mark of a weak tag.
func FuzzETag(f *testing.F) {
	f.Add(`"3"`)
	f.Add(`W/"3"`)
	f.Add(`"03"`)
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := parseETag(text); err == nil && (v <= 0 || etag(v) != strings.TrimPrefix(text, "W/")) {
			t.Fatalf("%q is %d", text, v)
		}
	})
}

// FuzzQuery asks lists with any query: the answer is a list or a problem, never a mistake of ours.
func FuzzQuery(f *testing.F) {
	f.Add("active=true&from=2026-11-26")
	f.Add("status=PLANNED,COOKING&limit=2&order=desc&q=%ff&menuId=x")
	f.Add("cursor=YgAyMDI2LTExLTI2ADEAYQ")
	f.Add("tenant=sppg_1&ticket=x&format=csv&date=2026-11-26&code=EAT_BY&severity=LOW")
	s := newStage(f)
	s.create()
	head := s.as("kepala")
	f.Fuzz(func(t *testing.T, query string) {
		for _, path := range []string{"/api/productions", "/api/alerts", "/api/kpis", "/api/daylog", "/api/audit"} {
			r := httptest.NewRequest(http.MethodGet, path, http.NoBody)
			r.URL.RawQuery = query
			r.Header = head.header
			w := httptest.NewRecorder()
			s.api.ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Fatalf("%s?%q: %d %s", path, query, w.Code, w.Body)
			}
		}
	})
}
