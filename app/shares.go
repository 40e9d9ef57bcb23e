package app

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"kentongan/realtime/gateway"
	"kentongan/realtime/intake"
	"kentongan/tenant"
)

// maxShares is how many kitchens, people and publishers a report has, each: those that take the most. It is far more than can be near a
// limit at the same time unless the limits are a few connections.
const maxShares = 2000

// exchange is how nodes hear of each other's reports; the redis engine has it.
type exchange interface {
	Exchange(ctx context.Context, report []byte) (others [][]byte, err error)
	Leave(ctx context.Context) error
}

// share is what somebody takes of one node.
type share struct {
	Tenant tenant.ID `json:"t"`
	User   string    `json:"u,omitempty"`
	N      int       `json:"n"`
}

// usage is a node's report. Nodes of another version may leave fields out, and have others.
type usage struct {
	Tenants   []share `json:"tenants,omitempty"`   // connections
	People    []share `json:"people,omitempty"`    // connections
	Published []share `json:"published,omitempty"` // a second
}

// shareLimits keeps the limits of kitchens and people over all nodes until ctx ends. While Redis does not answer, what the others had
// last counts for a while, and then each node's limit is its own.
func (a *App) shareLimits(ctx context.Context) {
	const (
		often    = 2 * time.Second
		patience = 10 * time.Second // as the other nodes have with this one
		leave    = 2 * time.Second
	)
	tick := time.NewTicker(cmp.Or(a.opts.ShareEvery, often))
	defer tick.Stop()
	for heard, mute := time.Now(), false; ; {
		report, err := json.Marshal(a.usage())
		if err != nil {
			panic("app: " + err.Error()) // a mistake in the type
		}
		others, err := a.engine.exchange.Exchange(ctx, report)
		switch {
		case err == nil:
			heard, mute = time.Now(), false
			a.setElsewhere(sumUsage(others))
		case ctx.Err() == nil && !mute && time.Since(heard) > patience:
			mute = true
			a.setElsewhere(elsewhere{})
			a.log.Warn("limits hold for this node alone until redis answers", "err", err)
		}
		select {
		case <-ctx.Done():
			leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leave)
			_ = a.engine.exchange.Leave(leaving) // it is forgotten by itself a little later
			cancel()
			return
		case <-tick.C:
		}
	}
}

// usage is this node's report.
func (a *App) usage() usage {
	var u usage
	seats := a.gateway.Seats()
	for t, n := range seats.Tenants {
		u.Tenants = append(u.Tenants, share{Tenant: t, N: n})
	}
	for p, n := range seats.People {
		u.People = append(u.People, share{p.Tenant, p.Subject, n})
	}
	for name, n := range a.rates.Tenants.Taken() {
		u.Published = append(u.Published, share{Tenant: tenant.ID(name), N: n})
	}
	u.Tenants, u.People, u.Published = largest(u.Tenants), largest(u.People), largest(u.Published)
	return u
}

// largest returns the first of all, by what they take.
func largest(all []share) []share {
	slices.SortFunc(all, func(x, y share) int {
		return cmp.Or(cmp.Compare(y.N, x.N), cmp.Compare(x.Tenant, y.Tenant), cmp.Compare(x.User, y.User))
	})
	return all[:min(len(all), maxShares)]
}

// elsewhere is what the other nodes have reported, summed up.
type elsewhere struct {
	seats     gateway.Seats
	published map[string]intake.Elsewhere
}

// sumUsage sums reports up. What cannot be read, of a later version perhaps, does not count.
func sumUsage(reports [][]byte) elsewhere {
	sum := elsewhere{
		gateway.Seats{Tenants: map[tenant.ID]int{}, People: map[gateway.Person]int{}}, map[string]intake.Elsewhere{},
	}
	for _, text := range reports {
		var u usage
		if json.Unmarshal(text, &u) != nil {
			continue
		}
		for _, s := range u.Tenants {
			sum.seats.Tenants[s.Tenant] += max(s.N, 0)
		}
		for _, s := range u.People {
			sum.seats.People[gateway.Person{Tenant: s.Tenant, Subject: s.User}] += max(s.N, 0)
		}
		for _, s := range u.Published {
			o := sum.published[string(s.Tenant)]
			sum.published[string(s.Tenant)] = intake.Elsewhere{PerSecond: o.PerSecond + max(s.N, 0), Nodes: o.Nodes + 1}
		}
	}
	return sum
}

func (a *App) setElsewhere(e elsewhere) {
	a.gateway.SetElsewhere(e.seats)
	a.rates.Tenants.SetElsewhere(e.published)
}
