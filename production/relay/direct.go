package relay

import (
	"context"
	"sync"

	"kentongan/production"
)

// direct publishes what comes without being asked for, until ctx ends. What does not go out at once is left to the workers that ask, who
// try again and know what to do with what can never be published.
func (r *Relay) direct(ctx context.Context, d production.Direct) {
	way := d.Direct(r.opts.Owner+"/direct", r.opts.Lease)
	var running sync.WaitGroup
	for range r.opts.Workers {
		running.Go(func() {
			w := worker{Relay: r}
			for w.hand(ctx, way) {
			}
		})
	}
	running.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTime)
	defer cancel()
	if err := way.Close(end); err != nil {
		r.opts.Log.WarnContext(end, "what was published is not marked, and comes again", "err", err)
	}
}

// hand publishes what comes next, and reports whether there can be more.
func (w *worker) hand(ctx context.Context, way production.Way) bool {
	h, err := way.Next(ctx)
	if err != nil {
		return false
	}
	done, sent, err := w.bring(ctx, &h.Claim, h.Began.Add(w.opts.Lease/2))
	if err != nil && ctx.Err() == nil {
		w.retries.Add(1)
		w.opts.Log.WarnContext(ctx, "relay stalled", "tenant", h.Tenant, "err", err)
	}
	h.Done(done, sent)
	return true
}
