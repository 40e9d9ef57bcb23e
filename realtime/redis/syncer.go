package redis

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

// syncer reads what followers need from Redis, many in one batch, so that a reconnect with thousands of tenants costs
// dozens of round trips and no goroutine for each.
type syncer struct {
	broker *Broker
	wake   chan struct{}

	mu    sync.Mutex
	jobs  []job
	works bool // some were taken and are not done
}

// job asks for the heads of a follower, or, with a track, for what that channel missed.
type job struct {
	f          *follower
	generation int
	track      *track
	since      realtime.Position // of the track when the read began
	forgotten  bool              // as that of the track

	names, keys []string // of the heads: what is doubted
	offsets     []uint64
}

const maxJobs = 128

func newSyncer(b *Broker) *syncer { return &syncer{broker: b, wake: make(chan struct{}, 1)} }

// heads and repair are called with the follower's lock held.
func (s *syncer) heads(f *follower) { s.add(job{f: f, generation: f.generation}) }
func (s *syncer) repair(f *follower, tr *track) {
	s.add(job{f: f, generation: f.generation, track: tr})
}

func (s *syncer) add(jobs ...job) {
	s.mu.Lock()
	s.jobs = append(s.jobs, jobs...)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// busy reports whether anything is to be read.
func (s *syncer) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.works || len(s.jobs) > 0
}

func (s *syncer) take() []job {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.works = len(s.jobs) > 0
	n := min(len(s.jobs), maxJobs)
	jobs := s.jobs[:n:n]
	if s.jobs = s.jobs[n:]; len(s.jobs) == 0 {
		s.jobs = nil
	}
	return jobs
}

func (s *syncer) run(ctx context.Context) {
	for fails := 0; ; {
		jobs := s.begin(s.take())
		if len(jobs) == 0 {
			select {
			case <-s.wake:
				continue
			case <-ctx.Done():
				return
			}
		}
		again := s.do(ctx, jobs)
		if len(again) == 0 {
			fails = 0
			continue
		}
		s.add(again...)
		if !s.broker.opts.Primary.pause(ctx, backoff(fails)) {
			return
		}
		fails++
	}
}

// begin leaves out void jobs, and lets the others forget what their reads will cover.
func (s *syncer) begin(jobs []job) []job {
	valid := jobs[:0]
	for _, j := range jobs {
		j.f.mu.Lock()
		if j.valid() {
			if j.track == nil {
				j.f.held.begin()
				j.names, j.keys, j.offsets = j.f.doubts()
			} else {
				j.track.held.begin()
				j.since, j.forgotten = j.track.last, j.track.forgotten
			}
			valid = append(valid, j)
		}
		j.f.mu.Unlock()
	}
	return valid
}

// do reads for all jobs in one batch and returns those that have to be read again.
func (s *syncer) do(ctx context.Context, jobs []job) (again []job) {
	ctx, cancel := s.broker.within(ctx)
	defer cancel()
	for i, r := range s.read(ctx, jobs) {
		j := jobs[i]
		if err := s.finish(ctx, j, r); err != nil {
			if ctx.Err() == nil {
				s.broker.opts.Log.Warn("read after a break", "tenant", j.f.tenant, "err", inWords(err)) // it is repeated
			}
			again = append(again, j)
		}
	}
	if g := s.broker.sub.gatherer; g != nil {
		g.Flush()
	}
	return again
}

func (s *syncer) read(ctx context.Context, jobs []job) []rueidis.RedisResult {
	b := s.broker
	var heads, pages []rueidis.LuaExec
	for _, j := range jobs {
		if j.track == nil {
			heads = append(heads, b.headsOf(b.keys.head(j.f.tenant), j.keys, j.offsets))
		} else {
			keys, args := b.readArgs(j.track.channel, j.since, maxPage)
			pages = append(pages, rueidis.LuaExec{Keys: keys, Args: args})
		}
	}
	var headResults, pageResults []rueidis.RedisResult
	if len(heads) > 0 {
		headResults = headsScript.ExecMulti(ctx, b.ask, heads...)
	}
	if len(pages) > 0 {
		pageResults = readScript.ExecMulti(ctx, b.ask, pages...)
	}
	results := make([]rueidis.RedisResult, 0, len(jobs))
	for _, j := range jobs {
		if j.track == nil {
			results, headResults = append(results, headResults[0]), headResults[1:]
		} else {
			results, pageResults = append(results, pageResults[0]), pageResults[1:]
		}
	}
	return results
}

var errHeldTooMuch = errors.New("more came than could be held")

// finish hands the answer to the follower. An error asks for a repetition.
func (s *syncer) finish(ctx context.Context, j job, r rueidis.RedisResult) error {
	if j.track == nil {
		h, err := readHeads(r, j.names)
		if err != nil {
			return err
		}
		return j.locked(func() error {
			if j.f.held.overflow {
				return errHeldTooMuch
			}
			j.f.setHeads(&h)
			return nil
		})
	}
	// A zero since would ask for the oldest; a track always has an epoch.
	page, ms, err := s.broker.readPage(j.track.channel, j.since, r)
	if err != nil {
		return err
	}
	lost := j.since
	if j.forgotten {
		page, lost = realtime.Page{Gap: realtime.GapAhead}, epochOf(j.since)
	}
	if page.Gap == realtime.GapAhead {
		// Redis has forgotten what it once announced. Going on would give offsets out twice, so the epoch ends here.
		if page.Head, err = s.broker.turn(ctx, j.track.channel, realtime.GapAhead, lost); err != nil {
			return err
		}
	}
	return j.locked(func() error { j.f.setPage(j.track, &page, ms); return nil })
}

// locked calls set with the lock held if the job is not void meanwhile.
func (j *job) locked(set func() error) error {
	j.f.mu.Lock()
	defer j.f.mu.Unlock()
	if !j.valid() {
		return nil
	}
	return set()
}

// valid reports whether the answer is still asked for. The lock is held.
func (j *job) valid() bool {
	return j.f.on && j.f.generation == j.generation && j.f.synced == (j.track != nil)
}
