package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/production"
	"kentongan/production/storetest"
	"kentongan/production/watch"
	"kentongan/realtime"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestKitchensWork lets all three work for twenty minutes, by the rules: nothing is refused, and of all that may go wrong everything does.
func TestKitchensWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(30 * time.Hour) // away from the first day that there is, and from midnight
		store := storetest.NewModel()
		service := production.New(store, production.Options{})
		names, err := realtime.NewNames(realtime.DefaultPatterns())
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		published := map[string]int{}
		publish := func(_ context.Context, ch realtime.Channel, data []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if names.Spell(ch) == "" || !json.Valid(data) {
				t.Errorf("%s to %v", data, ch)
			}
			published[ch.Name]++
			return nil
		}
		var log bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		var parts sync.WaitGroup
		parts.Go(func() { _ = watch.New(store, watch.Options{}).Run(ctx) })
		parts.Go(func() {
			if err := Run(ctx, service, store, publish, Options{Seed: 7, Log: slog.New(slog.NewTextHandler(&log, nil))}); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
		time.Sleep(20 * time.Minute)
		cancel()
		parts.Wait()
		if log.Len() > 0 {
			t.Errorf("a batch was left:\n%s", &log)
		}
		codes := map[production.AlertCode]bool{}
		for _, k := range Kitchens() {
			checkKitchen(t, store, k.ID, codes)
		}
		for _, code := range []production.AlertCode{
			production.CoreTempLow, production.QCFailed, production.EatBy, production.YieldLow, production.WasteHigh,
		} {
			if !codes[code] {
				t.Errorf("no alert %s in twenty minutes", code)
			}
		}
		for _, channel := range []string{"system-alert", "inventory:updates", "distribution:updates"} {
			if published[channel] == 0 {
				t.Errorf("nothing was published on %s", channel)
			}
		}
	})
}

func checkKitchen(t *testing.T, store *storetest.Model, id tenant.ID, codes map[production.AlertCode]bool) {
	t.Helper()
	batches, err := store.Facts(t.Context(), id, production.BatchFilter{}, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	by := map[production.Status]int{}
	dispatched, reworked := 0, 0
	for i := range batches {
		p := &batches[i].Production
		by[p.Status]++
		if p.Dispatched.Known() {
			dispatched++
		}
		reworked += p.ReworkCount
	}
	if by[production.Completed] < 14 || dispatched < 14 || by[production.Cancelled] == 0 || reworked == 0 {
		t.Errorf("%s has %v, %d dispatched, %d reworked", id, by, dispatched, reworked)
	}
	alerts, err := store.Alerts(t.Context(), id, production.AlertFilter{}, nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	open := 0
	for i := range alerts {
		codes[alerts[i].Code] = true
		if alerts[i].Active() {
			open++
		}
	}
	if open > 10 {
		t.Errorf("%d alerts of %s are open: nobody answers them", open, id)
	}
}

// TestKitchensThatCannotOpen has a service that refuses.
func TestKitchensThatCannotOpen(t *testing.T) {
	service := production.New(broken{storetest.NewModel()}, production.Options{})
	err := Run(t.Context(), service, storetest.NewModel(), nil, Options{})
	if err == nil || !strings.Contains(err.Error(), "open kitchen demo_bandung") {
		t.Errorf("Run: %v", err)
	}
}

type broken struct{ *storetest.Model }

func (broken) Commit(context.Context, production.Commit) ([]production.Event, error) {
	return nil, production.ErrUnavailable
}
