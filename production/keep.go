package production

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// What one call may put, and what a kitchen may have, is far more than kitchens need: they have about fifty people.
const (
	maxPut          = 5000
	maxCertificates = 20
	maxYoungGroups  = 50
)

// Configure changes a kitchen's settings to k, all of them. r.Version is the version that the sender has seen: 0 for a kitchen
// that has never been configured. Safety limits and the other settings need rights of their own; each is asked for only if what it
// covers changes.
func (s *Service) Configure(ctx context.Context, r Request, k Kitchen) (Kitchen, error) {
	if err := r.check(); err != nil {
		return Kitchen{}, err
	}
	actor, err := s.prove(ctx, r)
	if err != nil {
		return Kitchen{}, err
	}
	r.Actor = actor
	for range maxTries {
		in, err := s.store.Load(ctx, r.Tenant, Want{})
		if err != nil {
			return Kitchen{}, fmt.Errorf("load kitchen: %w", err)
		}
		c, err := configure(in.Kitchen, r, k, At(s.opts.Now()))
		if err != nil {
			return Kitchen{}, err
		}
		switch _, err = s.store.Commit(ctx, c); {
		case err == nil:
			return c.Kitchen.Kitchen, nil
		case !errors.Is(err, ErrConflict):
			return Kitchen{}, fmt.Errorf("store kitchen: %w", err)
		}
	}
	return Kitchen{}, fmt.Errorf("%w: %d times in a row somebody else was quicker", ErrUnavailable, maxTries)
}

// configure is pure, as Apply is.
func configure(old KitchenState, r Request, k Kitchen, now Instant) (Commit, error) {
	d := draft{c: Change{Request: r}}
	d.before.Version = old.Kitchen.Version
	if err := d.current(old.Kitchen.Version != 0); err != nil {
		return Commit{}, err
	}
	safety, other := limitsChanged(old.Kitchen.Limits, k.Limits)
	if safety {
		if err := d.allowed(MaySetSafety); err != nil {
			return Commit{}, err
		}
	}
	if other || !safety || !sameSettings(&old.Kitchen, &k) {
		if err := d.allowed(MaySet); err != nil {
			return Commit{}, err
		}
	}
	if err := k.check(); err != nil {
		return Commit{}, err
	}
	k.ID, k.Version, k.UpdatedAt, k.UpdatedBy = r.Tenant, old.Kitchen.Version+1, now, r.Actor.ID()
	if k.Zone == "" {
		k.Zone = WIB
	}
	next := old
	next.Kitchen, next.Revision = k, old.Revision+1
	c := Commit{Tenant: r.Tenant, Kitchen: &next, KitchenBase: old.Revision, LookAgain: now}
	limits := k.Limits.OrDefaults()
	lookAtKitchen(&next, &c, &limits, now)
	number(&c, kitchenEvents(c), next.Revision)
	c.Audit = []AuditEntry{{
		Tenant: r.Tenant, At: now, User: r.Actor.User, Role: r.Actor.Role, Person: r.Actor.Person, Action: "configure", Version: k.Version,
		Detail: appendJSON(nil, k),
	}}
	return c, nil
}

// sameSettings reports whether a and b agree in all but their limits.
func sameSettings(a, b *Kitchen) bool {
	zone := func(z Zone) Zone {
		if z == "" {
			return WIB
		}
		return z
	}
	return a.Name == b.Name && zone(a.Zone) == zone(b.Zone) && a.CertifiedCook == b.CertifiedCook &&
		slices.Equal(a.YoungGroups, b.YoungGroups) && (a.YoungGroups == nil) == (b.YoungGroups == nil) &&
		slices.Equal(a.Certificates, b.Certificates)
}

// check returns everything that is wrong with k.
func (k *Kitchen) check() error {
	var bad fields
	bad.text("name", k.Name, 0, 100)
	if _, ok := locations[k.Zone]; !ok {
		bad.add("timeZone", "want Asia/Jakarta, Asia/Pontianak, Asia/Makassar or Asia/Jayapura")
	}
	if len(k.YoungGroups) > maxYoungGroups {
		bad.add("youngGroups", "has %d: want at most %d", len(k.YoungGroups), maxYoungGroups)
	}
	for i, g := range k.YoungGroups {
		bad.text(fmt.Sprintf("youngGroups[%d]", i), g, 1, 100)
	}
	if len(k.Certificates) > maxCertificates {
		bad.add("certificates", "has %d: want at most %d", len(k.Certificates), maxCertificates)
	}
	for i, c := range k.Certificates {
		at := fmt.Sprintf("certificates[%d]", i)
		bad.text(at+".kind", c.Kind, 1, 40)
		bad.text(at+".number", c.Number, 0, 60)
		if _, err := ParseDay(string(c.ValidUntil)); err != nil {
			bad.add(at+".validUntil", "%v", err)
		}
	}
	bad = append(bad, k.Limits.check()...)
	return bad.refusal()
}

// Put adds to a kitchen's lists, or replaces what has the same ids. It is all or nothing.
func (s *Service) Put(ctx context.Context, r Request, lists References) error {
	if err := r.check(); err != nil {
		return err
	}
	actor, err := s.prove(ctx, r)
	if err != nil {
		return err
	}
	r.Actor = actor
	c, err := put(r, lists, At(s.opts.Now()))
	if err != nil {
		return err
	}
	if _, err := s.store.Commit(ctx, c); err != nil {
		return fmt.Errorf("store lists: %w", err)
	}
	return nil
}

// put is pure, as Apply is.
func put(r Request, lists References, now Instant) (Commit, error) {
	d := draft{c: Change{Request: r}}
	if len(lists.People) > 0 {
		if err := d.allowed(MayKeepUsers); err != nil {
			return Commit{}, err
		}
	}
	if len(lists.Menus)+len(lists.Programmes) > 0 {
		if err := d.allowed(MayKeepLists); err != nil {
			return Commit{}, err
		}
	}
	if err := lists.check(); err != nil {
		return Commit{}, err
	}
	lists = lists.at(now)
	type count struct {
		People     []string `json:"staff,omitempty"`
		Menus      int      `json:"menus,omitempty"`
		Programmes int      `json:"programmes,omitempty"`
	}
	n := count{Menus: len(lists.Menus), Programmes: len(lists.Programmes)}
	for i := range lists.People {
		p := &lists.People[i]
		n.People = append(n.People, fmt.Sprintf("%s %s active=%t", p.ID, p.Role, p.Active)) // who may do what is worth a trace
	}
	return Commit{Tenant: r.Tenant, Put: lists, Audit: []AuditEntry{{
		Tenant: r.Tenant, At: now, User: r.Actor.User, Role: r.Actor.Role, Person: r.Actor.Person, Action: "put",
		Detail: appendJSON(nil, n),
	}}}, nil
}

// at returns a copy with the time of the change.
func (l References) at(now Instant) References {
	l.People, l.Menus, l.Programmes = slices.Clone(l.People), slices.Clone(l.Menus), slices.Clone(l.Programmes)
	for i := range l.People {
		l.People[i].Updated = now
	}
	for i := range l.Menus {
		l.Menus[i].Updated = now
	}
	for i := range l.Programmes {
		l.Programmes[i].Updated = now
	}
	return l
}

// check returns everything that is wrong with l.
func (l References) check() error {
	var bad fields
	if len(l.People)+len(l.Menus)+len(l.Programmes) == 0 {
		bad.add("", "names nothing to store")
	}
	seen := map[string]bool{}
	entry := func(kind string, i int, id, name string, longest int) string {
		at := fmt.Sprintf("%s[%d]", kind, i)
		bad.id(at+".id", id)
		bad.text(at+".name", name, 1, longest)
		if seen[kind+id] {
			bad.add(at+".id", "comes twice")
		}
		seen[kind+id] = true
		return at
	}
	for kind, n := range map[string]int{"staff": len(l.People), "menus": len(l.Menus), "programmes": len(l.Programmes)} {
		if n > maxPut {
			bad.add(kind, "has %d: want at most %d at a time", n, maxPut)
			return bad.refusal()
		}
	}
	for i := range l.People {
		p := &l.People[i]
		at := entry("staff", i, p.ID, p.Name, 100)
		oneOf(&bad, at+".role", p.Role, Roles[2:]...) // nobody of the platform is staff of a kitchen
		if p.PIN != "" && !p.PIN.wellFormed() {
			bad.add(at+".pin", "is no hash of a PIN")
		}
	}
	for i := range l.Menus {
		at := entry("menus", i, l.Menus[i].ID, l.Menus[i].Name, 200)
		bad.dishes(at+".dishes", l.Menus[i].Dishes)
	}
	for i := range l.Programmes {
		entry("programmes", i, l.Programmes[i].ID, l.Programmes[i].Name, 200)
	}
	return bad.refusal()
}

// Looked writes down that somebody of the platform looked into a kitchen. what is a short word: board, batches, audit.
func (s *Service) Looked(ctx context.Context, r Request, what string) error {
	if err := r.check(); err != nil {
		return err
	}
	_, err := s.store.Commit(ctx, Commit{Tenant: r.Tenant, Audit: []AuditEntry{{
		Tenant: r.Tenant, At: At(s.opts.Now()), User: r.Actor.User, Role: r.Actor.Role, Action: "look", Reason: what,
	}}})
	if err != nil {
		return fmt.Errorf("store look: %w", err)
	}
	return nil
}
