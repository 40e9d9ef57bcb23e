package shared

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

// Local are Structures in the memory of this process, for a cache without Redis.
type Local struct {
	mu    sync.Mutex
	kept  map[string]*structure
	bytes int64
	most  int64
	sweep time.Time // when what has ended is looked for again
}

// structure is one of three kinds.
type structure struct {
	hash  map[string]string
	list  []string // newest first
	set   map[string]bool
	ends  time.Time
	bytes int64
}

var (
	// ErrKind says that something of another kind is under the name: a list where a text was asked for.
	ErrKind = errors.New("there is something of another kind under this name")
	// ErrFull says that Local has no room.
	ErrFull = errors.New("no room for more structures in memory")
)

var _ Structures = (*Local)(nil)

// NewLocal returns Structures that take at most that many bytes, names and values counted. Nothing that lives is dropped for want of
// room: what does not fit is refused, for half of a hash would be a wrong one.
func NewLocal(mostBytes int64) *Local { return &Local{kept: map[string]*structure{}, most: mostBytes} }

// at returns what is under the name, or nil. The lock is held.
func (l *Local) at(key string) *structure {
	s := l.kept[key]
	if s != nil && !time.Now().Before(s.ends) {
		l.drop(key, s)
		return nil
	}
	return s
}

func (l *Local) drop(key string, s *structure) {
	l.bytes -= s.bytes
	delete(l.kept, key)
}

// overheadBytes is what an element takes beside its text.
const overheadBytes = 64

// change runs f on what is under the name, or on something new, if it is of the kind and fits. The lock is taken.
func (l *Local) change(key string, ttl time.Duration, more int64, kind func(*structure) bool, f func(*structure)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.bytes+more > l.most || now.After(l.sweep) {
		l.sweep = now.Add(time.Minute)
		for k := range l.kept {
			l.at(k)
		}
		if l.bytes+more > l.most {
			return ErrFull
		}
	}
	s := l.at(key)
	if s == nil {
		s = &structure{}
	}
	if !kind(s) {
		return ErrKind
	}
	before := s.bytes
	f(s)
	s.bytes = s.weigh() + int64(len(key))
	s.ends = now.Add(ttl)
	l.kept[key] = s
	l.bytes += s.bytes - before
	return nil
}

func (s *structure) weigh() (n int64) {
	for f, v := range s.hash {
		n += int64(len(f)+len(v)) + overheadBytes
	}
	for _, v := range s.list {
		n += int64(len(v)) + overheadBytes
	}
	for m := range s.set {
		n += int64(len(m)) + overheadBytes
	}
	return n
}

func bytesOf(texts ...string) (n int64) {
	for _, t := range texts {
		n += int64(len(t)) + overheadBytes
	}
	return n
}

func isHash(s *structure) bool { return s.list == nil && s.set == nil }
func isList(s *structure) bool { return s.hash == nil && s.set == nil }
func isSet(s *structure) bool  { return s.hash == nil && s.list == nil }

// look returns what is under the name if it is of the kind; nil: nothing. The lock is held.
func (l *Local) look(key string, kind func(*structure) bool) (*structure, error) {
	s := l.at(key)
	if s != nil && !kind(s) {
		return nil, ErrKind
	}
	if s == nil {
		s = &structure{}
	}
	return s, nil
}

// HashSet implements Structures.
func (l *Local) HashSet(_ context.Context, key string, ttl time.Duration, fields map[string]string) error {
	more := bytesOf(key)
	for f, v := range fields {
		more += bytesOf(f, v)
	}
	return l.change(key, ttl, more, isHash, func(s *structure) {
		if s.hash == nil {
			s.hash = map[string]string{}
		}
		maps.Copy(s.hash, fields)
	})
}

// HashGet implements Structures.
func (l *Local) HashGet(_ context.Context, key, field string) (string, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.look(key, isHash)
	if err != nil {
		return "", false, err
	}
	v, ok := s.hash[field]
	return v, ok, nil
}

// HashAll implements Structures.
func (l *Local) HashAll(_ context.Context, key string) (map[string]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.look(key, isHash)
	if err != nil {
		return nil, err
	}
	if s.hash == nil {
		return map[string]string{}, nil
	}
	return maps.Clone(s.hash), nil
}

// HashDelete implements Structures.
func (l *Local) HashDelete(_ context.Context, key string, fields []string) error {
	return l.remove(key, isHash, func(s *structure) bool {
		for _, f := range fields {
			delete(s.hash, f)
		}
		return len(s.hash) == 0
	})
}

// remove runs f on what is under the name; f reports whether nothing is left.
func (l *Local) remove(key string, kind func(*structure) bool, f func(*structure) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(key)
	if s == nil {
		return nil
	}
	if !kind(s) {
		return ErrKind
	}
	empty := f(s)
	if empty {
		l.drop(key, s)
		return nil
	}
	before := s.bytes
	s.bytes = s.weigh() + int64(len(key))
	l.bytes += s.bytes - before
	return nil
}

// ListPush implements Structures.
func (l *Local) ListPush(_ context.Context, key string, ttl time.Duration, limit int, values []string) error {
	return l.change(key, ttl, bytesOf(append(values, key)...), isList, func(s *structure) {
		newest := slices.Clone(values)
		slices.Reverse(newest)
		s.list = append(newest, s.list...)
		if limit > 0 && len(s.list) > limit {
			s.list = slices.Clip(s.list[:limit])
		}
	})
}

// ListRange implements Structures.
func (l *Local) ListRange(_ context.Context, key string, first, last int) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.look(key, isList)
	if err != nil {
		return nil, err
	}
	n := len(s.list)
	if first < 0 {
		first = max(0, n+first)
	}
	if last < 0 {
		last = n + last
	}
	last = min(last, n-1)
	if first > last {
		return []string{}, nil
	}
	return slices.Clone(s.list[first : last+1]), nil
}

// SetAdd implements Structures.
func (l *Local) SetAdd(_ context.Context, key string, ttl time.Duration, members []string) error {
	return l.change(key, ttl, bytesOf(append(members, key)...), isSet, func(s *structure) {
		if s.set == nil {
			s.set = map[string]bool{}
		}
		for _, m := range members {
			s.set[m] = true
		}
	})
}

// SetRemove implements Structures.
func (l *Local) SetRemove(_ context.Context, key string, members []string) error {
	return l.remove(key, isSet, func(s *structure) bool {
		for _, m := range members {
			delete(s.set, m)
		}
		return len(s.set) == 0
	})
}

// SetHas implements Structures.
func (l *Local) SetHas(_ context.Context, key, member string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.look(key, isSet)
	return err == nil && s.set[member], err
}

// SetAll implements Structures.
func (l *Local) SetAll(_ context.Context, key string) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, err := l.look(key, isSet)
	if err != nil {
		return nil, err
	}
	return slices.Collect(maps.Keys(s.set)), nil
}
