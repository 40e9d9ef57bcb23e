package hub

import (
	"context"
	"time"

	"kentongan/tenant"
)

// enter returns the room of t, followed by the broker, with one subscription counted in it, so that it stays. Only the
// first one to come calls the broker; the others wait for it.
func (s *shard) enter(ctx context.Context, t tenant.ID) (*room, error) {
	r, beginning, first, err := s.place(ctx, t)
	if beginning == nil || err != nil {
		return r, err
	}
	if first {
		s.follow(ctx, r)
	}
	select {
	case <-beginning.done:
		err = beginning.err
	case <-ctx.Done():
		err = ctx.Err()
	case <-s.hub.done:
		err = ErrClosed
	}
	if err != nil {
		s.exit(r)
		return nil, err
	}
	return r, nil
}

// place counts one more subscription in the room of t. If the room is not open yet it returns its beginning, and whether this is the
// first who came. A room that is just being left is waited for, so that the Follow of the newcomer comes after that Unfollow.
func (s *shard) place(ctx context.Context, t tenant.ID) (r *room, beginning *following, first bool, err error) {
	for {
		s.mu.Lock()
		r = s.rooms[t]
		if r == nil || r.leaving == nil {
			break
		}
		left := r.leaving
		s.mu.Unlock()
		select {
		case <-left:
		case <-ctx.Done():
			return nil, nil, false, ctx.Err()
		}
	}
	defer s.mu.Unlock()
	if first = r == nil; first {
		r = newRoom(s, t)
		s.rooms[t] = r
	}
	r.size++
	s.subscriptions++
	return r, r.following, first, nil
}

// follow asks the broker to deliver the tenant of r. The others who wait for it should not fail because the first one
// hung up, so only the time ends it.
func (s *shard) follow(ctx context.Context, r *room) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), followTimeout)
	defer cancel()
	heads, err := s.hub.broker.Follow(ctx, r.tenant)
	s.mu.Lock()
	defer s.mu.Unlock()
	beginning := r.following
	if err != nil {
		beginning.err = err
		delete(s.rooms, r.tenant) // the next one to come tries again
	} else {
		r.open(heads)
	}
	close(beginning.done)
}

// exit uncounts a subscription of r.
func (s *shard) exit(r *room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leave(r)
}

// leave is exit for those who hold the lock.
func (s *shard) leave(r *room) {
	r.size--
	s.subscriptions--
	if r.size == 0 {
		r.emptied = time.Now()
	}
}

// sweep unfollows the tenants of rooms that have been empty for long enough at now.
func (s *shard) sweep(now time.Time) {
	for _, r := range s.empty(now) {
		s.hub.broker.Unfollow(r.tenant)
		s.mu.Lock()
		delete(s.rooms, r.tenant)
		s.mu.Unlock()
		close(r.leaving)
	}
}

// empty returns the rooms that have been empty for long enough, marked as being left. The broker is called without the
// lock: an engine may hold a lock of its own while it waits for this shard's queue to have room.
func (s *shard) empty(now time.Time) (rooms []*room) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, r := range s.rooms {
		if t != tenant.Global && r.size == 0 && r.leaving == nil && now.Sub(r.emptied) >= s.hub.opts.Linger {
			r.leaving = make(chan struct{})
			rooms = append(rooms, r)
		}
	}
	return rooms
}
