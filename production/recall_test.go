package production

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"kentongan/tenant"
)

// TestCloneSharesNothing fills a batch with something of everything that its types have, so that a field that is new is found, too.
func TestCloneSharesNothing(t *testing.T) {
	var b Batch
	fill(reflect.ValueOf(&b).Elem())
	c := b.Clone()
	if !reflect.DeepEqual(b, c) {
		t.Fatalf("got %+v, want %+v", c, b)
	}
	shared(t, "Batch", reflect.ValueOf(b), reflect.ValueOf(c))
	var none Batch
	if empty := none.Clone(); !reflect.DeepEqual(none, empty) {
		t.Errorf("got %+v of nothing", empty)
	}
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		for _, f := range v.Fields() {
			fill(f)
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	default:
		panic("fill does not know " + v.Type().String())
	}
}

func shared(t *testing.T, at string, a, b reflect.Value) {
	t.Helper()
	switch a.Kind() {
	case reflect.Pointer:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", at)
		}
		shared(t, at, a.Elem(), b.Elem())
	case reflect.Slice:
		if a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", at)
		}
		for i := range a.Len() {
			shared(t, fmt.Sprint(at, "[", i, "]"), a.Index(i), b.Index(i))
		}
	case reflect.Struct:
		for i := range a.NumField() {
			shared(t, at+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	default: // a copy
	}
}

// recalling remembers a batch as it was once, as a store does that has not heard what others have changed since.
type recalling struct {
	*memory
	old     Loaded
	recalls int
}

func (r *recalling) Recall(tenant.ID, Want) (Loaded, bool) {
	r.recalls++
	return r.old, true
}

func (r *recalling) Commit(ctx context.Context, c Commit) ([]Event, error) {
	if c.Recalled != 0 {
		return nil, ErrConflict
	}
	return r.memory.Commit(ctx, c)
}

func remembering(s *stage, id string) *recalling {
	s.t.Helper()
	old, err := s.store.Load(s.t.Context(), sppg, Want{Production: id})
	if err != nil {
		s.t.Fatal(err)
	}
	old.Recalled = 1
	return &recalling{memory: s.store, old: old}
}

// TestARecallIsNeverTheLastWord has what is remembered outdated: whatever follows from it, a refusal, nothing to do, or a commit that is
// refused, it is decided again on what is stored.
func TestARecallIsNeverTheLastWord(t *testing.T) {
	reading := AddReading{Kind: Core, Dish: "Ayam", Celsius: 805}
	for name, c := range map[string]struct {
		remembered func(s *stage, id string)
		act        func(ctx context.Context, svc *Service, r Request, id string) (Result, error)
		want       Code
	}{
		"Refusal": { // the version that the sender has seen is newer than what is remembered
			remembered: func(s *stage, id string) { s.must(s.svc.Reading(t.Context(), s.on("koki", id), id, reading)) },
			act: func(ctx context.Context, svc *Service, r Request, id string) (Result, error) {
				return svc.Reading(ctx, r, id, reading)
			},
		},
		"RefusalThatIsRight": {
			remembered: func(*stage, string) {},
			act: func(ctx context.Context, svc *Service, r Request, id string) (Result, error) {
				return svc.Transition(ctx, r, id, Transition{To: Completed})
			},
			want: CodeNoSuchStep,
		},
		"CommitThatIsRefused": {
			remembered: func(s *stage, id string) { s.must(s.svc.Reading(t.Context(), s.on("koki", id), id, reading)) },
			act: func(ctx context.Context, svc *Service, r Request, id string) (Result, error) {
				r.Version = 0
				return svc.Reading(ctx, r, id, reading)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			id := s.to(Cooking)
			store := remembering(s, id)
			c.remembered(s, id)
			before := s.batch(id).Production.Version
			got, err := c.act(t.Context(), New(store, s.svc.opts), s.on("koki", id), id)
			if store.recalls != 1 {
				t.Errorf("recalled %d times, want once", store.recalls)
			}
			if c.want != "" {
				var no *Refusal
				if !errors.As(err, &no) || no.Code != c.want {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			if err != nil || got.Production.Version != before+1 {
				t.Errorf("got version %d, %v; want %d", got.Production.Version, err, before+1)
			}
		})
	}
}
