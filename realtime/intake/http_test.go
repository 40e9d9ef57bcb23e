package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kentongan/auth"
	"kentongan/realtime"
	"kentongan/realtime/memory"
	"kentongan/tenant"
)

// keyed admits API keys: "Bearer all", "Bearer only-a", and a browser's session of kitchen a.
type keyed struct{}

func (keyed) Admit(_ context.Context, r *http.Request) (*auth.Identity, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer all":
		return &auth.Identity{Kind: auth.KindAPIKey, Subject: "app", Server: true, Platform: true}, nil
	case "Bearer only-a":
		return &auth.Identity{Kind: auth.KindAPIKey, Subject: "only-a", Server: true, Tenant: "a"}, nil
	case "Bearer session":
		return &auth.Identity{Kind: auth.KindSession, Subject: "u1", Tenant: "a"}, nil
	case "Bearer platform":
		return &auth.Identity{Kind: auth.KindSession, Subject: "u2", Platform: true}, nil
	}
	return nil, auth.ErrNoCredential
}

// ledger is a Publisher that stamps, remembers keys, and fails when it is told to.
type ledger struct {
	offsets map[realtime.Channel]uint64
	keys    map[string]string // data by key
	got     []string
	fail    error
	failAt  int // the call from which on it fails
	calls   int
}

func (l *ledger) Publish(ctx context.Context, ch realtime.Channel, data []byte, opts realtime.PublishOptions) (realtime.Published, error) {
	if _, bounded := ctx.Deadline(); !bounded {
		return realtime.Published{}, errors.New("a publish without a time limit")
	}
	if l.calls++; l.fail != nil && l.calls > l.failAt {
		return realtime.Published{}, fmt.Errorf("publish: %w", l.fail)
	}
	if old, ok := l.keys[opts.Key]; ok && opts.Key != "" {
		if old != string(data) {
			return realtime.Published{}, realtime.ErrKeyReused
		}
		return realtime.Published{Position: realtime.Position{Epoch: "e", Offset: l.offsets[ch]}, Duplicate: true}, nil
	}
	if l.offsets == nil {
		l.offsets, l.keys = map[realtime.Channel]uint64{}, map[string]string{}
	}
	l.offsets[ch]++
	l.keys[opts.Key] = string(data)
	l.got = append(l.got, fmt.Sprintf("%s/%s %s", ch.Tenant, ch.Name, data))
	return realtime.Published{Position: realtime.Position{Epoch: "e", Offset: l.offsets[ch]}}, nil
}

// httpDoor is an HTTP door before a ledger, and what it counted.
type httpDoor struct {
	*HTTP
	ledger            *ledger
	logs              *bytes.Buffer
	accepted, refused int
}

func newHTTPDoor(t *testing.T) *httpDoor {
	t.Helper()
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	d := &httpDoor{ledger: &ledger{}, logs: &bytes.Buffer{}}
	d.HTTP = NewHTTP(HTTPOptions{
		Auth: keyed{}, Names: names, Publisher: d.ledger, MaxBytes: 1024, Log: slog.New(slog.NewTextHandler(d.logs, nil)),
		Count: func(o Outcome) {
			if o == OutcomeStamped {
				d.accepted++
			} else {
				d.refused++
			}
		},
	})
	return d
}

// post sends body; header lines may replace the usual ones.
func (d *httpDoor) post(t *testing.T, body string, lines ...string) (int, http.Header, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/publish", strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer all")
	r.Header.Set("Content-Type", "application/json")
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Code, w.Header(), strings.TrimSpace(w.Body.String())
}

// codeIn is the error code in an answer, "" if there is none.
func codeIn(t *testing.T, body string) string {
	t.Helper()
	var a struct {
		Error struct{ Code, Message string }
	}
	if err := json.Unmarshal([]byte(body), &a); err != nil {
		t.Fatalf("answer %q: %v", body, err)
	}
	if a.Error.Code != "" && a.Error.Message == "" {
		t.Errorf("the answer %s does not say what is wrong", body)
	}
	return a.Error.Code
}

func TestPublishOne(t *testing.T) {
	d := newHTTPDoor(t)
	for i, want := range []string{`{"epoch":"e","offset":1}`, `{"epoch":"e","offset":2}`} {
		if status, _, body := d.post(t, `{"channel":"updates:a","data":{"n" : 1.50}}`); status != http.StatusOK || body != want {
			t.Errorf("publish %d: %d %s, want %s", i, status, body, want)
		}
	}
	if len(d.ledger.got) != 2 || d.ledger.got[0] != `a/updates {"n" : 1.50}` {
		t.Errorf("stored %q, want the data byte for byte", d.ledger.got)
	}
	if d.accepted != 2 || d.refused != 0 {
		t.Errorf("counted %d and %d", d.accepted, d.refused)
	}
}

func TestPublishedDataIsVerbatim(t *testing.T) {
	for _, data := range []string{`null`, `""`, `0`, `-0.0`, `1e400`, `12345678901234567890`, `[1 , 2]`, `"\u0041\/"`, "\"\u2028\"", `{"b":1,"a":2}`, "{\r\n}"} {
		d := newHTTPDoor(t)
		if status, _, body := d.post(t, `{"data":`+data+` , "channel":"updates:a"}`); status != http.StatusOK || d.ledger.got[0] != "a/updates "+data {
			t.Errorf("%q: %d %s, stored %q", data, status, body, d.ledger.got)
		}
	}
}

func TestPublishIdempotently(t *testing.T) {
	d := newHTTPDoor(t)
	d.post(t, `{"channel":"updates:a","data":1,"id":"k"}`)
	if status, _, body := d.post(t, `{"channel":"updates:a","data":1,"id":"k"}`); status != http.StatusOK || body != `{"epoch":"e","offset":1,"duplicate":true}` {
		t.Errorf("the repeated publish: %d %s, want the first position", status, body)
	}
	if status, _, body := d.post(t, `{"channel":"updates:a","data":2,"id":"k"}`); status != http.StatusUnprocessableEntity || codeIn(t, body) != codeKeyReused {
		t.Errorf("other data under the same id: %d %s, want 422 %s", status, body, codeKeyReused)
	}
}

// TestPublishListIdempotently sends a list again, as whoever got no answer does, with one item more and one that was changed.
func TestPublishListIdempotently(t *testing.T) {
	d := newHTTPDoor(t)
	broker, err := memory.New(memory.Options{Names: d.opts.Names})
	if err != nil {
		t.Fatal(err)
	}
	d.opts.Publisher = broker
	post := func(items ...string) (int, []result) {
		status, _, body := d.post(t, "["+strings.Join(items, ",")+"]")
		var results []result
		if err := json.Unmarshal([]byte(body), &results); err != nil || len(results) != len(items) {
			t.Fatalf("answer %s: %v", body, err)
		}
		return status, results
	}
	item := func(data, id string) string { return `{"channel":"updates:a","data":` + data + `,"id":"` + id + `"}` }
	status, first := post(item("1", "one"), item("2", "two"))
	if status != http.StatusOK || first[0].Offset != 1 || first[1].Offset != 2 {
		t.Fatalf("the list is answered with %d %+v", status, first)
	}
	status, again := post(item("1", "one"), item("2", "two"), item("3", "three"), item("4", "two"))
	if status != http.StatusMultiStatus {
		t.Errorf("answered %d, want 207 for the one that was changed", status)
	}
	for i := range first {
		if again[i].Epoch != first[i].Epoch || again[i].Offset != first[i].Offset || !again[i].Duplicate {
			t.Errorf("item %d, repeated, is answered with %+v; want the first position %+v", i, again[i], first[i])
		}
	}
	if again[2].Offset != 3 || again[2].Duplicate || again[3].Error == nil || again[3].Error.Code != codeKeyReused {
		t.Errorf("the new one and the changed one are answered with %+v and %+v", again[2], again[3])
	}
	// Another channel is another place for the same id.
	if status, _, body := d.post(t, `{"channel":"updates:b","data":9,"id":"one"}`); status != http.StatusOK || strings.Contains(body, "duplicate") {
		t.Errorf("the same id on another channel: %d %s", status, body)
	}
}

func TestPublishRefusals(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write([]byte(`{"channel":"updates:a","data":"` + strings.Repeat("x", 1<<20) + `"}`)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	const good = `{"channel":"updates:a","data":1}`
	for _, c := range []struct {
		name   string
		body   string
		line   string
		status int
		code   string
	}{
		{"NoCredential", good, "Authorization: ", 401, "unauthenticated"},
		{"Session", good, "Authorization: Bearer session", 403, codeForbidden},
		{"PlatformRole", good, "Authorization: Bearer platform", 403, codeForbidden},
		{"ForeignKitchen", `{"channel":"updates:b","data":1}`, "Authorization: Bearer only-a", 422, codeNoChannel},
		{"GlobalByAKitchensKey", `{"channel":"system-alert","data":1}`, "Authorization: Bearer only-a", 422, codeNoChannel},
		{"UnknownChannel", `{"channel":"nothing:a","data":1}`, "", 422, codeNoChannel},
		{"NoChannel", `{"data":1}`, "", 422, codeNoChannel},
		{"NoData", `{"channel":"updates:a"}`, "", 422, codeInvalidData},
		{"DataTooLarge", `{"channel":"updates:a","data":"` + strings.Repeat("x", 1023) + `"}`, "", 413, codeTooLarge},
		{"BodyTooLarge", `{"channel":"updates:a","data":"` + strings.Repeat("x", 9<<20) + `"}`, "", 413, codeTooLarge},
		{"SpaceTooLarge", strings.Repeat(" ", 9<<20) + good, "", 413, codeTooLarge},
		{"Form", good, "Content-Type: application/x-www-form-urlencoded", 415, codeMediaType},
		{"Text", good, "Content-Type: text/plain", 415, codeMediaType},
		{"NoType", good, "Content-Type: ", 415, codeMediaType},
		{"Gzip", zipped.String(), "Content-Encoding: gzip", 415, codeMediaType},
		{"GzipUnsaid", zipped.String(), "", 400, codeBadRequest},
		{"Empty", "", "", 400, codeBadRequest},
		{"White", " \n", "", 400, codeBadRequest},
		{"NotJSON", "hello", "", 400, codeBadRequest},
		{"Null", "null", "", 422, codeNoChannel},
		{"Number", "7", "", 400, codeBadRequest},
		{"Cut", good[:len(good)-1], "", 400, codeBadRequest},
		{"Two", good + good, "", 400, codeBadRequest},
		{"UnknownField", `{"channel":"updates:a","data":1,"idd":"k"}`, "", 400, codeBadRequest},
		{"OtherCase", `{"Channel":"updates:a","data":1}`, "", 400, codeBadRequest},
		{"DuplicateField", `{"channel":"updates:a","channel":"updates:b","data":1}`, "", 400, codeBadRequest},
		{"DuplicateInData", `{"channel":"updates:a","data":{"a":1,"a":2}}`, "", 400, codeBadRequest},
		{"InvalidUTF8", "{\"channel\":\"updates:a\",\"data\":\"\xff\"}", "", 400, codeBadRequest},
		{"InvalidUTF8InChannel", "{\"channel\":\"updates:\xff\",\"data\":1}", "", 400, codeBadRequest},
		{"LoneSurrogate", `{"channel":"updates:a","id":"\ud800","data":1}`, "", 400, codeBadRequest},
		{"ChannelIsNumber", `{"channel":7,"data":1}`, "", 400, codeBadRequest},
		{"IDIsNumber", `{"channel":"updates:a","data":1,"id":7}`, "", 400, codeBadRequest},
		{"Deep", `{"channel":"updates:a","data":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`, "", 400, codeBadRequest},
		{"EmptyList", "[]", "", 400, codeBadRequest},
		{"ListOfNumbers", "[1]", "", 400, codeBadRequest},
		{"ListOfLists", "[[" + good + "]]", "", 400, codeBadRequest},
		{"ListCut", "[" + good, "", 400, codeBadRequest},
		{"ListTooLong", "[" + strings.Repeat(good+",", MaxBatch) + good + "]", "", 413, codeTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newHTTPDoor(t)
			var lines []string
			if c.line != "" {
				lines = []string{c.line}
			}
			status, _, body := d.post(t, c.body, lines...)
			if status != c.status || codeIn(t, body) != c.code {
				t.Errorf("answered %d %.300s, want %d %s", status, body, c.status, c.code)
			}
			if len(d.ledger.got) > 0 || len(body) > 1000 {
				t.Errorf("stored %.100q, answered %d bytes", d.ledger.got, len(body))
			}
			if d.logs.Len() > 0 {
				t.Errorf("a mistake of the caller was logged as ours: %s", d.logs)
			}
		})
	}
	t.Run("AnyMethodButPost", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodHead, "TRACE"} {
			w := httptest.NewRecorder()
			newHTTPDoor(t).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/api/publish", http.NoBody))
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
				t.Errorf("%s was answered with %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
			}
		}
	})
}

func TestPublishWhileTheEngineFails(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{realtime.ErrUnavailable, 503, codeUnavailable},
		{realtime.ErrOverloaded, 503, codeUnavailable},
		{realtime.ErrNotStored, 503, codeUnavailable},
		{context.DeadlineExceeded, 503, codeUnavailable},
		{realtime.ErrInvalid, 422, codeInvalidData},
		{errors.New("the secret inside"), 500, codeInternal},
	} {
		d := newHTTPDoor(t)
		d.ledger.fail = c.err
		status, header, body := d.post(t, `{"channel":"updates:a","data":1}`)
		if status != c.status || codeIn(t, body) != c.code {
			t.Errorf("%v was answered with %d %s, want %d %s", c.err, status, body, c.status, c.code)
		}
		if (header.Get("Retry-After") != "") != (status == 503) {
			t.Errorf("%v: Retry-After %q with %d", c.err, header.Get("Retry-After"), status)
		}
		if strings.Contains(body, "secret") || strings.Contains(d.logs.String(), "secret") != (status == 500) {
			t.Errorf("%v: answer %s, log %s; a mistake of ours is for the log only", c.err, body, d.logs)
		}
		if d.accepted != 0 || d.refused != 1 {
			t.Errorf("counted %d and %d", d.accepted, d.refused)
		}
	}
}

func TestPublishBatch(t *testing.T) {
	post := func(t *testing.T, d *httpDoor, body string, lines ...string) (int, []result) {
		t.Helper()
		status, _, text := d.post(t, body, lines...)
		var results []result
		if err := json.Unmarshal([]byte(text), &results); err != nil {
			t.Fatalf("answer %s: %v", text, err)
		}
		return status, results
	}
	t.Run("KeepsTheOrderOfEachChannel", func(t *testing.T) {
		d := newHTTPDoor(t)
		var items []string
		for i := range MaxBatch {
			items = append(items, fmt.Sprintf(`{"channel":"updates:%s","data":%d}`, []string{"a", "b", "c"}[i%3], i))
		}
		status, results := post(t, d, " \n["+strings.Join(items, ",")+"]")
		if status != http.StatusOK || len(results) != MaxBatch {
			t.Fatalf("answered %d with %d results", status, len(results))
		}
		for i, r := range results {
			kitchen := tenant.ID([]string{"a", "b", "c"}[i%3])
			if want := fmt.Sprintf("%s/updates %d", kitchen, i); d.ledger.got[i] != want || r.Offset != uint64(i/3+1) || r.Epoch != "e" {
				t.Fatalf("item %d: stored %s with %+v, want %s with offset %d", i, d.ledger.got[i], r, want, i/3+1)
			}
		}
	})
	t.Run("SaysOfEachWhatBecameOfIt", func(t *testing.T) {
		d := newHTTPDoor(t)
		status, results := post(t, d, `[{"channel":"updates:a","data":1},{"channel":"updates:b","data":2},{"channel":"nothing","data":3},{"channel":"updates:a"},
			{"channel":"updates:a","data":"`+strings.Repeat("x", 2000)+`"},{"channel":"updates:a","data":6}]`, "Authorization: Bearer only-a")
		if status != http.StatusMultiStatus {
			t.Errorf("answered %d, want 207", status)
		}
		var got []string
		for _, r := range results {
			if r.Error != nil {
				got = append(got, r.Error.Code)
			} else {
				got = append(got, fmt.Sprint(r.Offset))
			}
		}
		if want := []string{"1", codeNoChannel, codeNoChannel, codeInvalidData, codeTooLarge, "2"}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("results %v, want %v", got, want)
		}
		if d.accepted != 2 || d.refused != 4 {
			t.Errorf("counted %d and %d, want 2 and 4", d.accepted, d.refused)
		}
	})
	t.Run("AsksAnEngineThatIsOutOnce", func(t *testing.T) {
		d := newHTTPDoor(t)
		d.ledger.fail, d.ledger.failAt = realtime.ErrUnavailable, 1
		status, results := post(t, d, `[{"channel":"updates:a","data":1},{"channel":"updates:a","data":2},{"channel":"updates:a","data":3}]`)
		if status != http.StatusMultiStatus || results[0].Error != nil || results[1].Error == nil || results[2].Error == nil || d.ledger.calls != 2 {
			t.Errorf("answered %d %+v after %d calls, want one stored, and two calls", status, results, d.ledger.calls)
		}
		if d.accepted+d.refused != 3 {
			t.Errorf("counted %d and %d, want three publications", d.accepted, d.refused)
		}
	})
}
