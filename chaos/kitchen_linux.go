package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"kentongan/auth"
	"kentongan/chaos/check"
	"kentongan/chaos/client"
	"kentongan/chaos/payload"
)

// kitchen is a kitchen whose record the server keeps in its database, and which goes on through the night: cooks measure, watchers follow
// what comes of it, and in the end the database says what should have come. Its channels are not those of the publishers.
type kitchen struct {
	url      string // of the database
	base     string // of the server
	http     *http.Client
	began    time.Time
	clock    func() time.Duration
	channels [2]int // of the world
	watchers []*watcher

	mu     sync.Mutex
	asked  int             // changes that were begun
	acked  int             // of these, carried out, says the server
	refuse error           // the first one that was refused, which none should be
	failed []time.Duration // when an attempt had no answer, or one that says to come again
	rows   []event         // of the database, at the last look
	count  int             // readings in the database, at the last look
}

// watcher is one client of the kitchen.
type watcher struct {
	*client.Client

	mu    sync.Mutex
	texts map[string]int // what came, by when it first came
}

// event is one in the database.
type event struct {
	channel int // 0 or 1
	text    string
	at      time.Duration
}

// kitchenTenant is no kitchen of the publishers'.
const kitchenTenant = "sppg_night"

// The roles of those who are signed in there.
const (
	headOfKitchen = "SPPG_KEPALA"
	manager       = "SPPG_PRODUKSI_MANAGER"
)

func kitchenSession(who, role string) (string, error) {
	token, err := auth.MintSession(secret, auth.SessionCookie,
		map[string]any{"sub": who, "name": who, "sppgId": kitchenTenant, "userRole": role, "userType": "SPPG"}, 12*time.Hour)
	if err != nil {
		return "", fmt.Errorf("mint session: %w", err)
	}
	return auth.SessionCookie + "=" + token, nil
}

// openKitchen makes a kitchen at the server behind address, whose database is at url. Nodes are where clients connect to.
func (s *stage) openKitchen(address, url string, config *tls.Config) error {
	k := &kitchen{
		url: url, base: "https://" + address, began: s.began, clock: s.clock,
		http: &http.Client{Timeout: 7 * time.Second, Transport: &http.Transport{TLSClientConfig: config}},
	}
	for i, name := range []string{"production:updates:", "production:alerts:"} {
		k.channels[i] = len(s.world.Channels)
		s.world.Channels = append(s.world.Channels, check.Channel{Name: name + kitchenTenant, Tenant: kitchenTenant})
	}
	cookie, err := kitchenSession("kepala", headOfKitchen)
	if err != nil {
		return err
	}
	for d := range check.Dialect(3) {
		w := &watcher{texts: map[string]int{}}
		w.Client = client.New(client.Options{
			Name: fmt.Sprintf("watcher-%s", d), Dialect: d, Tenant: kitchenTenant, Cookie: cookie, Origin: origin, World: s.world,
			Channels: k.channels[:], Narrow: true, InUpgrade: true, Nosy: -1, Nodes: func() []string { return []string{address} },
			TLS: config, Clock: s.clock, Seed: s.seed + uint64(d), Read: w.read,
		})
		k.watchers = append(k.watchers, w)
	}
	s.kitchen = k
	return nil
}

// read gives a text the number by which it is known until the database says which event it is.
func (w *watcher) read(data []byte) (payload.Mark, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(data)
	n, ok := w.texts[text]
	if !ok {
		n = len(w.texts)
		w.texts[text] = n
	}
	return payload.Mark{Seq: n}, true
}

// ask sends a change until it has an answer, as a tablet does, and decodes that into out unless it is nil. Only what says that the
// request itself is wrong is an error.
func (k *kitchen) ask(ctx context.Context, cookie, method, path, key string, body, out any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode change: %w", err)
	}
	const again = 100 * time.Millisecond
	for {
		status, answer, err := k.try(ctx, cookie, method, path, key, text)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || status >= http.StatusInternalServerError || status == http.StatusTooManyRequests:
			k.mu.Lock()
			k.failed = append(k.failed, k.clock())
			k.mu.Unlock()
			if err := sleep(ctx, again); err != nil {
				return err
			}
		case status/100 != 2:
			return fmt.Errorf("%s %s: got %d %.300s", method, path, status, answer)
		case out == nil:
			return nil
		default:
			if err := json.Unmarshal(answer, out); err != nil {
				return fmt.Errorf("%s %s: %w", method, path, err)
			}
			return nil
		}
	}
}

func (k *kitchen) try(ctx context.Context, cookie, method, path, key string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, k.base+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if cookie == "" {
		req.Header.Set("Authorization", "Bearer "+apiKey)
	} else {
		req.Header.Set("Cookie", cookie)
		req.Header.Set("Origin", origin)
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := k.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	const enough = 1 << 20
	answer, err = io.ReadAll(io.LimitReader(resp.Body, enough))
	return resp.StatusCode, answer, err
}

// batches is how many batches are cooked at a time, each by one cook.
const batches = 3

// open enters what the kitchen needs, and plans its batches. It returns their paths.
func (k *kitchen) open(ctx context.Context) (paths []string, err error) {
	err = k.ask(ctx, "", http.MethodPut, "/api/references?tenant="+kitchenTenant, "", map[string]any{
		"programmes": []any{map[string]any{"id": "mbg", "name": "Makan Bergizi Gratis"}},
		"menus":      []any{map[string]any{"id": "soto", "name": "Soto ayam", "dishes": []any{map[string]any{"name": "Soto"}}}},
		"staff":      []any{map[string]any{"id": "manajer", "name": "Pak Hasan", "role": manager, "pin": "2468"}},
	}, nil)
	if err != nil {
		return nil, err
	}
	cookie, err := kitchenSession("manajer", manager)
	if err != nil {
		return nil, err
	}
	wib := time.FixedZone("WIB", 7*3600) // the zone of a kitchen that has set none
	for i := range batches {
		var planned struct {
			Production struct {
				ID      string `json:"id"`
				Version int64  `json:"version"`
			} `json:"production"`
		}
		now := time.Now()
		err := k.ask(ctx, cookie, http.MethodPost, "/api/productions", fmt.Sprintf("plan-%d", i), map[string]any{
			"programId": "mbg", "menuId": "soto", "productionDate": now.In(wib).Format(time.DateOnly), "plannedPortions": 900,
			"wave": i + 1, "headCook": "manajer", "plannedStartTime": now.UTC(), "plannedEndTime": now.Add(5 * time.Hour).UTC(),
		}, &planned)
		if err != nil {
			return nil, err
		}
		path := "/api/productions/" + planned.Production.ID
		err = k.ask(ctx, cookie, http.MethodPost, path+"/transition", fmt.Sprintf("begin-%d", i),
			map[string]any{"to": "PREPARING", "version": planned.Production.Version}, nil)
		if err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// cook measures one batch, again and again, until stop is closed, and finishes what is under way.
func (k *kitchen) cook(ctx context.Context, stop <-chan struct{}, path string) {
	const every = 100 * time.Millisecond
	cookie, err := kitchenSession("manajer", manager)
	for n := 0; err == nil; n++ {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-time.After(every):
		}
		k.mu.Lock()
		k.asked++
		k.mu.Unlock()
		err = k.ask(ctx, cookie, http.MethodPost, path+"/readings", fmt.Sprintf("%s-%d", path, n),
			map[string]any{"kind": "CORE", "celsius": 80 + float64(n%100)/10}, nil)
		k.mu.Lock()
		if err == nil {
			k.acked++
		} else if ctx.Err() == nil {
			k.refuse = errors.Join(k.refuse, err)
		}
		k.mu.Unlock()
	}
}

// changed waits until another change has been carried out.
func (k *kitchen) changed(ctx context.Context) error {
	acked := func() int {
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.acked
	}
	before := acked()
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if acked() > before {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("the kitchen's changes are not carried out any more")
}

// look reads what the database has, past the server.
func (k *kitchen) look(ctx context.Context) error {
	db, err := pgx.Connect(ctx, k.url)
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	defer func() { _ = db.Close(ctx) }()
	count := 0
	err = db.QueryRow(ctx, "SELECT count(*) FROM kentongan.entries WHERE tenant = $1 AND kind = 'reading'", kitchenTenant).Scan(&count)
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	found, err := db.Query(ctx, "SELECT channel LIKE '%alerts%', payload, at FROM kentongan.events WHERE tenant = $1 ORDER BY seq",
		kitchenTenant)
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	rows, err := pgx.CollectRows(found, func(r pgx.CollectableRow) (one event, err error) {
		alert, text, at := false, []byte(nil), int64(0)
		if err = r.Scan(&alert, &text, &at); alert {
			one.channel = 1
		}
		one.text, one.at = string(text), time.UnixMilli(at).Sub(k.began)
		return one, err
	})
	if err != nil {
		return fmt.Errorf("look into the database: %w", err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rows, k.count = rows, count
	return nil
}

// histories returns the database as two publishers, one a channel, with indexes from first on, and the watchers as subscribers. So whatever
// holds of publications holds of events: a row without its event is one that is lost, an event without its row a phantom.
func (k *kitchen) histories(first int) (pubs []check.Publisher, subs []check.Subscriber) {
	k.mu.Lock()
	defer k.mu.Unlock()
	places := make(map[string]place, len(k.rows))
	for i, channel := range k.channels {
		pubs = append(pubs, check.Publisher{Name: fmt.Sprintf("database-%d", i), Channel: channel, Ordered: true})
	}
	for _, r := range k.rows {
		p := &pubs[r.channel]
		p.Publications = append(p.Publications, check.Publication{Begin: r.at, End: r.at, Outcome: check.Acked, Attempts: 1})
		places[r.text] = place{int32(first + r.channel), int32(p.Channel), uint32(len(p.Publications))} //nolint:gosec // small
	}
	for _, w := range k.watchers {
		sub := w.History()
		w.mu.Lock()
		known := make([]place, len(w.texts))
		for text, n := range w.texts {
			known[n] = places[text]
		}
		w.mu.Unlock()
		sub.Events = placed(sub.Events, sub.Dialect, known)
		subs = append(subs, sub)
	}
	return pubs, subs
}

// place is where an event is in the database; seq 0: it has no row.
type place struct {
	publisher, channel int32
	seq                uint32
}

// placed returns events with what the database says about the messages among them, each of which has its number in known instead of a
// sequence number.
func placed(events []check.Event, d check.Dialect, known []place) []check.Event {
	events = slices.Clone(events)
	for i := range events {
		e := &events[i]
		if e.Kind != check.Message {
			continue
		}
		at := known[e.Seq]
		if at.seq == 0 {
			e.Forged = true
			continue
		}
		e.Publisher, e.Of, e.Seq = at.publisher, at.channel, at.seq
		if d == check.Bare {
			e.Channel = e.Of // the only word that there is about it
		}
	}
	return events
}

// judge compares what cooks were told with the rows.
func (k *kitchen) judge(v *check.Verdict) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.refuse != nil {
		v.Find(check.Lost, "a change of the kitchen was refused: %v", k.refuse)
	}
	for n := k.count; n < k.acked; n++ {
		v.Find(check.Lost, "the database has %d readings, and %d were acknowledged", k.count, k.acked)
	}
	for n := k.asked; n < k.count; n++ {
		v.Find(check.Twice, "the database has %d readings, and %d were sent", k.count, k.asked)
	}
}

// String says how much was looked at.
func (k *kitchen) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return fmt.Sprintf("kitchen: %d changes sent, %d carried out, %d readings in the database, %d events of it, "+
		"%d attempts that had to be made again", k.asked, k.acked, k.count, len(k.rows), len(k.failed))
}
