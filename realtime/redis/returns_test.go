package redis_test

import (
	"slices"
	"testing"

	"kentongan/realtime"
)

// TestOldPrimaryReturns: what was the primary before a failover, and was never told of that, is promoted again. Its epochs are those of
// before, which have no word, and what is in them was delivered long ago: that something may be missing is told, and nothing comes again,
// also at a node that has followed only since. What comes then goes on behind that.
func TestOldPrimaryReturns(t *testing.T) {
	keys := []string{elderHead, elderStream, elderNewest}
	for name, found := range map[string]func(t *testing.T, s *beside) (unheard bool){
		"ByAPublication": func(_ *testing.T, s *beside) bool { s.byOld(""); return true },
		"ByTheHeads":     func(t *testing.T, s *beside) bool { do(t, s.old.c, "CLIENT", "KILL", "TYPE", "pubsub"); return false },
	} {
		t.Run(name, func(t *testing.T) {
			s := newBeside(t)
			delivered := func() []string {
				s.w.mu.Lock()
				defer s.w.mu.Unlock()
				return slices.Clone(s.w.delivered[channelA])
			}
			arrived := func(n int) {
				t.Helper()
				eventually(t, "all to be delivered", func() bool { return len(delivered()) >= n })
			}
			for range 3 {
				s.byOld("")
			}
			arrived(3)
			before := s.at
			for _, key := range keys { // the primary is gone, and what has become one knows nothing of all this
				do(t, s.old.c, "RENAME", key, "away:"+key)
			}
			s.at, s.old.known, s.old.reign = realtime.Position{}, realtime.Position{}, "fscsb6"
			s.old.mu.Lock()
			s.old.at = realtime.Position{} // which is not what is tried
			s.old.mu.Unlock()
			for range 2 {
				s.byOld("")
			}
			arrived(5) // what the new epoch has is news
			gaps := s.w.gapCount(channelA)
			for _, key := range keys {
				do(t, s.old.c, "RENAME", "away:"+key, key)
			}
			s.at, s.old.known, s.old.reign = before, before, ""
			s.old.mu.Lock()
			s.old.at = before
			s.old.mu.Unlock()
			unheard := found(t, s)
			eventually(t, "the gap", func() bool { return s.w.gapCount(channelA) > gaps })
			s.w.mu.Lock()
			last := s.w.gaps[channelA][len(s.w.gaps[channelA])-1]
			s.w.mu.Unlock()
			if last.Position != s.at || last.Cause != realtime.GapEpoch {
				t.Errorf("told is %+v, want a gap up to %v", last, s.at)
			}
			want := slices.Clone(s.want)
			if unheard {
				want = slices.Delete(want, len(want)-1, len(want)) // it is before the gap
			}
			s.byOld("")
			want = append(want, s.want[len(s.want)-1])
			arrived(len(want))
			if got := delivered(); !slices.Equal(got, dataOf(want)) {
				t.Errorf("delivered is %q, want %q", got, dataOf(want))
			}
		})
	}
}
