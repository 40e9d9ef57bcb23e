// Package nap waits for a time that somebody may cut short.
package nap

import (
	"context"
	"time"
)

// For waits for d, and reports false if ctx ended first. Zero or less is no wait.
func For(ctx context.Context, d time.Duration) bool {
	var o Often
	return o.For(ctx, d)
}

// Often is For for a goroutine that does it hundreds of times a second: its timer is made once. The zero value is ready.
type Often struct{ timer *time.Timer }

// For is the function of that name.
func (o *Often) For(ctx context.Context, d time.Duration) bool {
	if o.timer == nil {
		o.timer = time.NewTimer(d)
	} else {
		o.timer.Reset(d)
	}
	defer o.timer.Stop()
	select {
	case <-o.timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
