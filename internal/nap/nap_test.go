package nap_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/internal/nap"
)

// TestFor: a nap lasts as long as was asked for, or until its context ends; one that was cut short does not shorten the next.
func TestFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var often nap.Often
		for name, sleep := range map[string]func(context.Context, time.Duration) bool{"For": nap.For, "Often": often.For} {
			began := time.Now()
			if !sleep(t.Context(), time.Second) || time.Since(began) != time.Second {
				t.Errorf("%s: a second took %v", name, time.Since(began))
			}
			began = time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			if sleep(ctx, time.Hour) || time.Since(began) != time.Minute {
				t.Errorf("%s: cut short after a minute, an hour took %v", name, time.Since(began))
			}
			cancel()
			began = time.Now()
			for range 3 {
				if !sleep(t.Context(), 2*time.Second) {
					t.Errorf("%s: somebody else's end cut it short", name)
				}
			}
			if time.Since(began) != 6*time.Second {
				t.Errorf("%s: three times two seconds took %v", name, time.Since(began))
			}
			if began = time.Now(); !sleep(t.Context(), -time.Second) || time.Since(began) != 0 {
				t.Errorf("%s: no time took %v", name, time.Since(began))
			}
		}
	})
}

// TestOftenMakesNoGarbage: but for its timer, which is made once.
func TestOftenMakesNoGarbage(t *testing.T) {
	var often nap.Often
	if each := testing.AllocsPerRun(100, func() { often.For(t.Context(), 0) }); each >= 1 {
		t.Errorf("%v allocations a nap", each)
	}
}
