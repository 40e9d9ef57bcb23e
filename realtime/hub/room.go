package hub

import (
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// room is one tenant on this node: who follows what, and how far each channel has been delivered. Its shard's lock
// guards it.
type room struct {
	shard  *shard
	tenant tenant.ID
	heads  map[string]*realtime.Position // by channel name: the newest that was delivered here; nil: no channel had a publication
	fresh  realtime.Position             // of channels that never had a publication
	all    members                       // who follows all channels of the tenant, and the global ones
	named  map[string]*circle            // who follows just one channel; nil: nobody ever did
	size   int                           // subscriptions that entered: those in all and named, and those on their way
	moves  uint64                        // how often a head has moved

	cursor    string    // the last that was made, for all who need one until a head moves
	cursorFor [2]uint64 // the moves of this room, and of the global one, that it is of

	following *following    // the broker's answer is waited for; nil once it follows the tenant
	emptied   time.Time     // when size became 0
	leaving   chan struct{} // closed when the broker has unfollowed the tenant; nil: it is not about to
}

// following is the beginning of a room. Those who came meanwhile wait for it.
type following struct {
	done  chan struct{}    // closed when the broker follows the tenant, or could not
	err   error            // why it could not; written before done is closed
	early map[string]early // what came before the heads were known
}

// early is the newest position of a channel that was told before Follow had returned.
type early struct {
	position realtime.Position
	turned   bool // a gap came with it: its epoch is newer than that of the heads
}

// newRoom returns a room that is not followed yet. There is one for each kitchen, and most never see two channels busy or a channel
// followed by its name, so the maps are made when they are needed.
func newRoom(s *shard, t tenant.ID) *room {
	return &room{shard: s, tenant: t, following: &following{done: make(chan struct{}), early: map[string]early{}}}
}

// open sets the heads that Follow returned. Publications and gaps may have overtaken them.
func (r *room) open(heads realtime.Heads) {
	r.moves++
	r.fresh = heads.Fresh
	for name, p := range heads.Channels { // a copy: deliveries write to it
		r.move(name, p)
	}
	for name, e := range r.following.early {
		at := r.at(name)
		if e.turned || e.position.Epoch == at.Epoch && e.position.Offset > at.Offset {
			r.move(name, e.position)
		}
	}
	r.following = nil
}

// move sets the head of the channel called name.
func (r *room) move(name string, to realtime.Position) {
	if head := r.heads[name]; head != nil {
		*head = to
		return
	}
	if r.heads == nil {
		r.heads = map[string]*realtime.Position{}
	}
	first := to // to itself would be on the heap in each call
	r.heads[name] = &first
}

// isOpen reports whether r can be entered without waiting.
func (r *room) isOpen() bool { return r != nil && r.following == nil && r.leaving == nil }

// at returns the head of the channel called name.
func (r *room) at(name string) realtime.Position {
	if p := r.heads[name]; p != nil {
		return *p
	}
	return r.fresh
}

// place says where a publication stands with regard to the head.
type place int

const (
	next  place = iota // it follows the head
	stale              // it is from before the heads of Follow, and was waiting in the queue
	hole               // something between the head and it is missing
)

// stands says where p stands. A new epoch is always told by a gap first, so what comes with another one is a remnant of an earlier
// following. Before Follow has returned nobody is live, and all is stale.
func (r *room) stands(p *realtime.Publication) place {
	if r.following != nil {
		return stale
	}
	at := &r.fresh
	if head := r.heads[p.Channel.Name]; head != nil {
		at = head
	}
	switch {
	case p.Position.Epoch != at.Epoch || p.Position.Offset <= at.Offset:
		return stale
	case p.Position.Offset != at.Offset+1:
		return hole
	}
	return next
}

// advance moves the head to p, if p is news, and returns where it stood.
func (r *room) advance(p *realtime.Publication) place {
	if f := r.following; f != nil {
		f.early[p.Channel.Name] = early{position: p.Position, turned: f.early[p.Channel.Name].turned}
	}
	where := r.stands(p)
	if where != stale {
		r.moves++
		r.move(p.Channel.Name, p.Position)
	}
	return where
}

// turn moves the head to where a gap says that the channel goes on.
func (r *room) turn(g realtime.Gap) {
	if f := r.following; f != nil {
		f.early[g.Channel.Name] = early{position: g.Position, turned: true}
		return
	}
	r.moves++
	r.move(g.Channel.Name, g.Position)
}

// positions calls add with the heads of r. The one without a name stands for all channels that have had no publication yet: a reader
// who resumes from here has missed all of theirs.
func (r *room) positions(add func(realtime.Channel, realtime.Position)) {
	add(realtime.Channel{Tenant: r.tenant}, r.fresh)
	for name, p := range r.heads {
		add(realtime.Channel{Tenant: r.tenant, Name: name}, *p)
	}
}

// circle is who follows one channel by its name.
type circle struct {
	members
	name string // of the channel
	wire string // as clients spell it
}

// members is a set of subscriptions; each knows its own place in it. What a walk needs of all of them lies side by side: a cold
// line of memory for each screen would cost a tenth of what the write to it does.
type members []member

type member struct {
	session Subscriber
	sub     *Subscription
	live    bool   // it stands at the head: publications are offered as they come
	had     uint32 // the number of the last that it was offered in a tour; of nothing without one
}

func (m *members) add(to Subscriber, s *Subscription) {
	s.place = int32(len(*m))                         //nolint:gosec // far less than there are descriptors
	if n := len(*m); n == cap(*m) && n < smallRoom { // append would double it, and nearly all rooms are small
		*m = append(make(members, 0, n+2), *m...)
	}
	*m = append(*m, member{session: to, sub: s})
}

func (m *members) remove(s *Subscription) {
	last := len(*m) - 1
	moved := (*m)[last]
	(*m)[s.place], (*m)[last] = moved, member{}
	moved.sub.place = s.place
	*m = (*m)[:last]
	if cap(*m) > 64 && last < cap(*m)/4 {
		*m = append(make(members, 0, 2*last), *m...) // a room that was full once does not keep that memory
	}
}

func (m *members) offer(msg *Message) (offered int) {
	for i := range *m {
		if to := &(*m)[i]; to.live {
			to.session.Offer(msg)
			offered++
		}
	}
	return offered
}

// near brings near what offering to them needs of their memory.
func (m *members) near() (seen uint64) {
	for i := range *m {
		if to := &(*m)[i]; to.live {
			seen += to.session.Near()
		}
	}
	return seen
}

// live returns how many are.
func (m *members) live() (n int) {
	for i := range *m {
		n += bit((*m)[i].live)
	}
	return n
}

func (m *members) offerGap(wire string, g realtime.Gap) {
	for i := range *m {
		if to := &(*m)[i]; to.live {
			to.session.OfferGap(wire, g)
		}
	}
}
