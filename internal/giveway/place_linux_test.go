package giveway

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestSometimes gives way after a slice, not before, and then not for another slice. That it has is seen by its descriptor.
func TestSometimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var way Way
		way.Begin()
		for range 3 {
			for _, step := range []struct {
				work  time.Duration
				gives bool
			}{{0, false}, {Slice - 1, false}, {1, true}} {
				time.Sleep(step.work)
				way.Sometimes()
				if gave := way.place.file != nil; gave != step.gives {
					t.Errorf("after another %v: gave way %v, want %v", step.work, gave, step.gives)
				}
			}
			way.Close()
		}
	})
}
