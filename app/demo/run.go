package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"kentongan/internal/nap"
	"kentongan/production"
	"kentongan/realtime"
	"kentongan/tenant"
)

// Service is what the staff works with; production.Service is one.
type Service interface {
	Create(ctx context.Context, r production.Request, c production.Create) (production.Result, error)
	Transition(ctx context.Context, r production.Request, id string, t production.Transition) (production.Result, error)
	Work(ctx context.Context, r production.Request, id string, w production.Work) (production.Result, error)
	Cancel(ctx context.Context, r production.Request, id string, c production.Cancel) (production.Result, error)
	Reading(ctx context.Context, r production.Request, id string, a production.AddReading) (production.Result, error)
	Check(ctx context.Context, r production.Request, id string, a production.AddCheck) (production.Result, error)
	Sample(ctx context.Context, r production.Request, id string, t production.TakeSample) (production.Result, error)
	Dispatch(ctx context.Context, r production.Request, id string, d production.RecordDispatch) (production.Result, error)
	Acknowledge(ctx context.Context, r production.Request, alert string) (production.Result, error)
	Resolve(ctx context.Context, r production.Request, alert, correctiveAction string) (production.Result, error)
	Configure(ctx context.Context, r production.Request, k production.Kitchen) (production.Kitchen, error)
	Put(ctx context.Context, r production.Request, lists production.References) error
}

// Records shows the staff which alerts are open; a production.Store is one.
type Records interface {
	Batch(ctx context.Context, t tenant.ID, id string) (production.Batch, error)
}

// Publish brings a message of the app to a channel: what the production service has nothing to do with.
type Publish func(ctx context.Context, ch realtime.Channel, data []byte) error

// Options are the knobs of Run.
type Options struct {
	Seed uint64       // of what goes wrong; zero: another one each time
	Log  *slog.Logger // nil discards
}

const (
	batchEvery    = 50 * time.Second // a kitchen plans a new batch; two or three are open at once
	announceEvery = 2 * time.Minute
	kitchenShift  = 3 * time.Second // by which the kitchens start one after the other
)

// Run lets the kitchens work until ctx ends, and then returns nil. It returns an error if they could not even be set up.
func Run(ctx context.Context, service Service, records Records, publish Publish, opts Options) error {
	if opts.Seed == 0 {
		opts.Seed = rand.Uint64() //nolint:gosec // nothing is kept secret with it
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	d := &demo{service, records, publish, opts}
	kitchens := Kitchens()
	for i := range kitchens {
		if err := d.open(ctx, &kitchens[i]); err != nil {
			if ctx.Err() != nil {
				return nil //nolint:nilerr // that is why
			}
			return fmt.Errorf("open kitchen %s: %w", kitchens[i].ID, err)
		}
	}
	var work sync.WaitGroup
	for i := range kitchens {
		work.Go(func() { d.cook(ctx, &kitchens[i], time.Duration(i)*kitchenShift) })
	}
	work.Go(func() { d.announce(ctx) })
	work.Wait()
	return nil
}

type demo struct {
	service Service
	records Records
	publish Publish
	opts    Options
}

// open sets up a kitchen as its app would, and its head.
func (d *demo) open(ctx context.Context, k *Kitchen) error {
	server := production.Request{Tenant: k.ID, Actor: production.Actor{User: "demo", Role: production.Server}}
	lists := production.References{Programmes: []production.Programme{{ID: programme, Name: "Makan Bergizi Gratis", Active: true}}}
	for user, role := range k.crew.roles() {
		lists.People = append(lists.People, production.Person{ID: user, Name: user, Role: role, Active: true})
	}
	for _, m := range k.menus {
		lists.Menus = append(lists.Menus, production.Menu{ID: m.id, Name: m.name, Active: true, Dishes: []production.Dish{{Name: m.dish}}})
	}
	if err := d.service.Put(ctx, server, lists); err != nil {
		return err //nolint:wrapcheck // the caller says whose
	}
	settings := production.Kitchen{ID: k.ID, Name: k.Name, Zone: k.zone, CertifiedCook: true}
	if k.hasty {
		minute := 1
		settings.Limits.EatByMediumMin = &minute
	}
	_, err := d.service.Configure(ctx, k.request(k.crew.head, production.Head), settings)
	return err //nolint:wrapcheck // as above
}

// cook begins a batch now and then, each with its own people, until ctx ends.
func (d *demo) cook(ctx context.Context, k *Kitchen, shift time.Duration) {
	var batches sync.WaitGroup
	defer batches.Wait()
	for n := 0; nap.For(ctx, shift); n++ {
		shift = batchEvery
		batches.Go(func() {
			b := &batch{
				demo: d, k: k, menu: k.menus[n%len(k.menus)], n: n,
				rng: rand.New(rand.NewPCG(d.opts.Seed^hash(string(k.ID)), uint64(n))), //nolint:gosec // to be repeatable, not secret
			}
			err := b.live(ctx)
			if err != nil && ctx.Err() == nil && !errors.Is(err, production.ErrUnavailable) {
				d.opts.Log.WarnContext(ctx, "a batch of the demo was left", "tenant", k.ID, "production", b.p.ID, "err", err)
			}
		})
	}
}

// hash is FNV-1a; it keeps the kitchens of one seed apart.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
