package sharedtest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kentongan/cache/shared"
)

// act runs f as one step.
func (n *Node) act(ctx context.Context, f func(s *Server)) error {
	n.delay()
	if err := ctx.Err(); err != nil {
		return err
	}
	n.server.mu.Lock()
	down := n.server.down
	if !down {
		f(n.server)
	}
	n.server.mu.Unlock()
	n.delay()
	if down {
		return errDown
	}
	return ctx.Err()
}

// Listen implements shared.Tier.
func (n *Node) Listen(l shared.Listener) { n.listener = l }

// Fence implements shared.Tier.
func (n *Node) Fence(ctx context.Context) (shared.Passed, error) {
	passed := make(chan struct{})
	var p shared.Passed
	err := n.act(ctx, func(s *Server) {
		if n.connection == 0 {
			s.ids++
			n.connection = s.ids
		}
		p = shared.Passed{Connection: fmt.Sprint(n.connection), Now: s.now()}
		n.queue = append(n.queue, event{passed: passed})
		n.wakeUp()
	})
	if err != nil {
		return p, err
	}
	select {
	case <-passed:
		return p, nil
	case <-ctx.Done():
		return p, ctx.Err()
	}
}

// AwaitNodes implements shared.Tier.
func (n *Node) AwaitNodes(ctx context.Context, bound time.Duration) error {
	timer := time.NewTimer(bound)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Read implements shared.Tier.
func (n *Node) Read(ctx context.Context, keys, hashes []string) (values []string, tables []shared.Epochs, err error) {
	err = n.act(ctx, func(s *Server) {
		for _, h := range hashes {
			if s.hashes[h] == nil || s.hashes[h][shared.Star] == 0 {
				if s.hashes[h] == nil {
					s.hashes[h] = shared.Epochs{}
				}
				s.hashes[h][shared.Star] = s.now()
				s.tell(h)
			}
			tables = append(tables, maps.Clone(s.hashes[h]))
		}
		for _, k := range keys {
			values = append(values, s.get(k))
		}
	})
	return values, tables, err
}

// Swap implements shared.Tier.
func (n *Node) Swap(ctx context.Context, w shared.Swap) (out shared.Swapped, err error) {
	err = n.act(ctx, func(s *Server) { out = s.swap(w) })
	return out, err
}

func (s *Server) swap(w shared.Swap) (out shared.Swapped) {
	out.Now = s.now()
	cur := s.get(w.Key)
	floor := floorOf(cur)
	switch {
	case w.Any:
	case w.Expect == "":
		if cur != "" && (!shared.IsMarker(cur) || shared.IsLease(cur)) {
			out.Current = cur
			return out
		}
	case cur == "" || shared.Identity(cur) != w.Expect:
		out.Current = cur
		return out
	}
	if w.Value == "" {
		out.Current = shared.LeaseOf(floor, w.Token)
		ttl := w.TTL
		if floor > 0 {
			ttl = max(ttl, time.Until(s.values[w.Key].ends))
		}
		s.set(w.Key, out.Current, ttl)
	} else {
		if w.Version > 0 && floor > w.Version {
			out.Outdated, out.Current = true, cur
			if !w.Any {
				s.set(w.Key, shared.FloorOf(floor), time.Until(s.values[w.Key].ends))
			}
			return out
		}
		if w.Version > 0 && w.Any && cur != "" && !shared.IsMarker(cur) && shared.VersionOf(cur) > w.Version {
			out.Outdated = true
			return out
		}
		s.set(w.Key, w.Value, w.TTL)
	}
	out.Done = true
	for _, set := range w.TagSets {
		s.add(set, w.Key)
		if w.Value == "" {
			continue
		}
		sampled := 0
		for m := range s.sets[set] {
			if sampled++; sampled > 5 {
				break
			}
			out.Sampled++
			if s.get(m) == "" {
				delete(s.sets[set], m)
				out.Dead++
			}
		}
	}
	return out
}

func (s *Server) add(set, key string) {
	if s.sets[set] == nil {
		s.sets[set] = map[string]bool{}
	}
	s.sets[set][key] = true
}

func floorOf(text string) int64 {
	if !shared.IsMarker(text) {
		return 0
	}
	var floor int64
	for _, c := range text[3:22] {
		floor = floor*10 + int64(c-'0')
	}
	return floor
}

// Release implements shared.Tier.
func (n *Node) Release(ctx context.Context, key, lease string) error {
	return n.act(ctx, func(s *Server) {
		if s.get(key) != lease {
			return
		}
		s.unlease(key, lease)
	})
}

func (s *Server) unlease(key, cur string) {
	if floor := floorOf(cur); floor > 0 {
		s.set(key, shared.FloorOf(floor), time.Until(s.values[key].ends))
		return
	}
	s.del(key)
}

// Drop implements shared.Tier.
func (n *Node) Drop(ctx context.Context, d shared.Drop) error {
	return n.act(ctx, func(s *Server) {
		n.note(s, d.Note)
		s.unlease(d.Key, s.get(d.Key))
		s.again(d.Key, d.Again)
	})
}

func (s *Server) again(key string, after time.Duration) {
	if after > 0 {
		now := s.now()
		s.gone[key] = now
		s.chores = append(s.chores, chore{now + after.Microseconds(), "again", key})
	}
}

// Forget implements shared.Tier.
func (n *Node) Forget(ctx context.Context, f shared.Forget) error {
	return n.act(ctx, func(s *Server) {
		n.note(s, f.Note)
		s.again(f.Key, f.Again)
		cur := s.get(f.Key)
		floor, ttl := f.Version, f.TTL
		switch {
		case shared.IsMarker(cur):
			if old := floorOf(cur); old > floor {
				floor, ttl = old, max(ttl, time.Until(s.values[f.Key].ends))
			}
		case cur != "" && shared.VersionOf(cur) >= floor:
			return
		}
		s.set(f.Key, shared.FloorOf(floor), ttl)
	})
}

// Bump implements shared.Tier.
func (n *Node) Bump(ctx context.Context, b shared.Bump) (out shared.Bumped, err error) {
	err = n.act(ctx, func(s *Server) {
		if s.hashes[b.Hash] == nil {
			s.hashes[b.Hash] = shared.Epochs{}
		}
		n.note(s, b.Note)
		out.Number = max(s.now(), s.hashes[b.Hash][b.Field]+1)
		s.hashes[b.Hash][b.Field] = out.Number
		s.tell(b.Hash)
		most := s.MaxAtOnce
		if most == 0 {
			most = 4
		}
		switch members := s.sets[b.TagSet]; {
		case b.Prefix != "":
			s.chores = append(s.chores, chore{s.now(), "tenant", b.Prefix})
		case len(members) > most:
			trash := fmt.Sprintf("{%s}:trash:%d", b.TagSet, s.now())
			s.sets[trash] = members
			delete(s.sets, b.TagSet)
			s.chores = append(s.chores, chore{s.now(), "tag", trash})
		default:
			for m := range members {
				s.del(m)
			}
			delete(s.sets, b.TagSet)
		}
	})
	return out, err
}

// DroppedAt implements shared.Tier.
func (n *Node) DroppedAt(ctx context.Context, key string) (at int64, err error) {
	err = n.act(ctx, func(s *Server) { at = s.gone[key] })
	return at, err
}

// Claim implements shared.Tier.
func (n *Node) Claim(ctx context.Context, key string, ttl time.Duration) (mine bool, err error) {
	err = n.act(ctx, func(s *Server) {
		if mine = !time.Now().Before(s.claims[key]); mine {
			s.claims[key] = time.Now().Add(ttl)
		}
	})
	return mine, err
}

// Touch implements shared.Tier.
func (n *Node) Touch(ctx context.Context, _ []string) error { return n.act(ctx, func(*Server) {}) }

// Chore implements shared.Tier.
func (n *Node) Chore(ctx context.Context) (did bool, err error) {
	err = n.act(ctx, func(s *Server) {
		now := s.now()
		i := slices.IndexFunc(s.chores, func(c chore) bool { return c.at <= now })
		if i < 0 {
			return
		}
		c := s.chores[i]
		s.chores = slices.Delete(s.chores, i, i+1)
		did = true
		switch c.kind {
		case "again":
			if text := s.get(c.what); text != "" && !strings.HasPrefix(text, `{"version":`) && !strings.HasPrefix(text, "0e") {
				s.del(c.what)
			}
		case "tag":
			for m := range s.sets[c.what] {
				s.del(m)
			}
			delete(s.sets, c.what)
		case "tenant":
			for _, name := range slices.Sorted(maps.Keys(s.values)) {
				if strings.HasPrefix(name, c.what) {
					s.del(name)
				}
			}
		}
	})
	return did, err
}

// Record implements shared.Tier.
func (n *Node) Record(ctx context.Context, stream string) (out []shared.Invalidated, err error) {
	err = n.act(ctx, func(s *Server) {
		for _, r := range slices.Backward(s.record) {
			if r.Stream == stream {
				out = append(out, shared.Invalidated{At: r.at, What: r.What, Name: r.Name, Node: r.node})
			}
		}
	})
	return out, err
}

// note writes into the record. It keeps the last 200 of all.
func (n *Node) note(s *Server, note shared.Note) {
	if note.Stream != "" {
		s.record = append(s.record, recorded{note, time.Now(), fmt.Sprintf("%p", n)})
		s.record = s.record[max(0, len(s.record)-200):]
	}
}
