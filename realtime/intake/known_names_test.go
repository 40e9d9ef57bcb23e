package intake

import (
	"fmt"
	"testing"

	"kentongan/realtime"
)

// Each name is the channel that parsing says, the first time, the second, and when what was remembered has been forgotten; and a name that is
// none stays none.
func TestKnownNamesAreWhatParsingSays(t *testing.T) {
	names, err := realtime.NewNames(realtime.DefaultPatterns())
	if err != nil {
		t.Fatal(err)
	}
	var known knownNames
	const most = 8
	for range 3 {
		for i := range 3 * most {
			for _, wire := range []string{fmt.Sprint("updates:k", i), fmt.Sprint("nothing ", i)} {
				want, _, wrong := names.Parse(wire)
				name := []byte(wire)
				got, err := known.channel(names, name, most)
				if got != want || (err == nil) != (wrong == nil) {
					t.Errorf("%s is %v, %v; want %v, %v", wire, got, err, want, wrong)
				}
				clear(name) // the reader uses it again
			}
			if n := len(known.channels); n > most {
				t.Fatalf("%d names are remembered", n)
			}
		}
	}
	again := []byte(fmt.Sprint("updates:k", 3*most-1))
	if n := testing.AllocsPerRun(100, func() { _, _ = known.channel(names, again, most) }); n > 0 {
		t.Errorf("a name that is known takes %v allocations", n)
	}
}
