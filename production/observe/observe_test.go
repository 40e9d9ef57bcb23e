package observe_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"kentongan/production"
	"kentongan/production/observe"
	"kentongan/production/storetest"
	"kentongan/tenant"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func run(t *testing.T, r *observe.Recorder) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func created(id string) []byte {
	return fmt.Appendf(nil, `{"type":"production_created","productionId":%q,"data":{"id":%q,"batchNumber":"B-%s","productionDate":"2026-11-26",`+
		`"plannedPortions":100,"status":"PLANNED"},"timestamp":%d}`, id, id, id, time.Now().UnixMilli())
}

func moved(id, status string) []byte {
	return fmt.Appendf(nil, `{"type":"production_update","productionId":%q,"data":{"status":%q},"timestamp":%d}`, id, status, time.Now().UnixMilli())
}

// TestRecordsWhatAnAppPublishes has two kitchens, things that cannot be right, and a message that is told twice.
func TestRecordsWhatAnAppPublishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewModel()
		r := observe.New(production.New(store, production.Options{}), observe.Options{})
		stop := run(t, r)
		for n, payload := range [][]byte{
			created("p1"), moved("p1", "PREPARING"), moved("p1", "COOKING"), []byte("no JSON"), moved("p1", "COMPLETED"), created("p2"),
		} {
			r.Heard("k1", fmt.Sprint("e/", n), payload)
		}
		r.Heard("k1", "e/1", moved("p1", "PREPARING")) // again: it changes nothing
		r.Heard("k2", "e/0", created("p1"))
		synctest.Wait()
		stop()
		one, err := store.Batch(t.Context(), "k1", "p1")
		if err != nil || one.Production.Status != production.Completed || one.Production.Source != production.AppRecord {
			t.Errorf("p1 of k1 is %+v, %v", one.Production, err)
		}
		two, err := store.Batch(t.Context(), "k2", "p1")
		if err != nil || two.Production.Status != production.Planned {
			t.Errorf("p1 of k2 is %+v, %v", two.Production, err)
		}
		all, err := store.Observations(t.Context(), "k1", false, "", 100)
		if err != nil || len(all) != 6 {
			t.Errorf("%d observations (%v), want each message once", len(all), err)
		}
		flagged, err := store.Observations(t.Context(), "k1", true, "", 100)
		if err != nil || len(flagged) != 2 {
			t.Errorf("%d are flagged (%v), want what is no JSON and the step that does not exist", len(flagged), err)
		}
		if st := r.Stats(); st.Recorded != 8 || st.Flagged != 2 || st.Missed != 0 || st.Waiting != 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestWants(t *testing.T) {
	for name, want := range map[string]bool{"production:updates": true, "production:alerts": true, "sppg:production:created": true, "menu:updates": false, "": false} {
		if got := observe.Wants(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// service is one that does as it is told.
type service struct {
	mu   sync.Mutex
	got  []string
	fail func(id string) error
}

func (s *service) Observe(_ context.Context, t tenant.ID, id string, _ []byte) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.fail(id); err != nil {
		return nil, err
	}
	s.got = append(s.got, string(t)+" "+id)
	return nil, nil
}

func TestADatabaseThatIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := time.Now().Add(time.Minute)
		s := &service{fail: func(string) error {
			if time.Now().Before(out) {
				return fmt.Errorf("store: %w", production.ErrUnavailable)
			}
			return nil
		}}
		r := observe.New(s, observe.Options{Workers: 1})
		defer run(t, r)()
		var want []string
		for n := range 50 {
			r.Heard("k1", fmt.Sprint(n), []byte("{}"))
			want = append(want, fmt.Sprint("k1 ", n))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if !slices.Equal(s.got, want) || r.Stats().Missed != 0 {
			t.Errorf("recorded %q, want all in their order", s.got)
		}
	})
}

func TestAMistakeHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{fail: func(id string) error {
			if id == "1" {
				return errors.New("a mistake of ours")
			}
			return nil
		}}
		r := observe.New(s, observe.Options{})
		defer run(t, r)()
		for n := range 3 {
			r.Heard("k1", fmt.Sprint(n), []byte("{}"))
		}
		synctest.Wait()
		if want := []string{"k1 0", "k1 2"}; !slices.Equal(s.got, want) || r.Stats().Missed != 1 {
			t.Errorf("recorded %q, %+v", s.got, r.Stats())
		}
	})
}

// TestBounds has more than may wait, and a stop with much that waits.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &service{fail: func(string) error { return production.ErrUnavailable }}
		r := observe.New(s, observe.Options{MaxWaiting: 10, MaxWaitingBytes: 100})
		stop := run(t, r)
		for n := range 20 {
			r.Heard(tenant.ID(fmt.Sprint("k", n)), "a", []byte("{}"))
		}
		if st := r.Stats(); st.Waiting != 10 || st.Missed != 10 {
			t.Errorf("stats %+v, want 10 that wait and 10 that found no room", st)
		}
		before := time.Now()
		stop()
		if st := r.Stats(); st.Waiting != 0 || st.Missed != 20 || time.Since(before) != 3*time.Second {
			t.Errorf("stats %+v after a stop of %s", st, time.Since(before))
		}
		full := observe.New(s, observe.Options{MaxWaiting: 10, MaxWaitingBytes: 100})
		full.Heard("k1", "a", make([]byte, 90))
		full.Heard("k1", "b", make([]byte, 11))
		if st := full.Stats(); st.Waiting != 1 || st.Missed != 1 {
			t.Errorf("stats %+v, want one that is too much", st)
		}
	})
}
