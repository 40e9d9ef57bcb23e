// Package giveway lets a goroutine that has much to do let those go first to whom something has come.
//
// runtime.Gosched does not do that. While all processors are busy, Go asks the kernel for what has come over the network only when a
// processor has nothing else to run, or every 10 ms; and a goroutine that yields is something to run. So a message that arrives while two
// goroutines take in a thousand connects waits for 10 ms, though each connect takes 50 µs. [Way.Give] sleeps where goroutines
// sleep that wait for the network, on a descriptor of its own that is ready at once: the processor then has to ask the kernel, and
// whoever has become ready runs before Give returns, or soon after: one time in 61 Go looks elsewhere first.
//
// Most of the time nobody waits. The doors of the process, over which what is live comes, are few and known ([Watch]); to ask the kernel
// about them is much cheaper than to sleep, and [Way.Sometimes] does that first.
package giveway

import (
	"runtime"
	"time"
)

// Slice is for how long a goroutine works before [Way.Sometimes] gives way. Giving way takes 2 to 3 µs, three percent of it, and
// what is live waits for no longer than a slice of each that has much to do. It takes half a millisecond by itself on the way from an app
// to a screen of the same machine, so a fifth of that is what others may add to it.
const Slice = 100 * time.Microsecond

// longLook is how many slices end with a look at the doors alone, before there is one at all connections and goroutines: one of TLS, or of
// net/http, is at no door, and neither is a timer.
const longLook = 9

// Watch makes the file descriptor fd a door: what is live comes over it. It must be one that epoll can watch, and is forgotten when it is
// closed. Watch may be called at any time.
func Watch(fd int) { watch(fd) }

// Door is a door with somebody who serves there on his own, and takes all that has come. While he does, nobody gives way to those who
// wait at it: it is their turn soon.
type Door struct{ number int32 }

// Serve is Watch for a door with somebody of its own. Close ends it.
func Serve(fd int) *Door { return &Door{number: serve(fd)} }

// Serving says whether somebody serves at the door now.
func (d *Door) Serving(now bool) { d.set(now) }

// Close ends that, when the descriptor is closed. All methods are for one goroutine.
func (d *Door) Close() { d.close() }

// Way is where one goroutine at a time gives way. The zero value is ready for use; it opens a descriptor when it is used for the first
// time, and must be closed then.
type Way struct {
	began  time.Time
	gave   int
	looked int // at the doors, since it gave way
	place  place
}

// Begin says that work begins now.
func (w *Way) Begin() { w.began = time.Now() }

// Sometimes gives way if a slice has passed since Begin, or since it was last over, and somebody waits at a door; after ten slices in any
// case: then it is the turn of goroutines that can run already. It takes some 50 ns if no slice has passed. (To let those go first after
// each slice, with runtime.Gosched, is worse than to do nothing: Go wakes up another thread each time, and with two processors the work
// moves there. What waited behind large messages to a room that does not read then waited twice as long.)
func (w *Way) Sometimes() {
	if time.Since(w.began) < Slice {
		return
	}
	if w.looked < longLook && quiet() {
		w.looked++
	} else {
		w.Give()
	}
	w.began = time.Now()
}

// Give lets all go first that can run, and those to whom something has come over the network.
func (w *Way) Give() {
	w.place.sleep()
	// What the processor was told together with our own descriptor now stands in its queue.
	runtime.Gosched()
	w.gave++
	w.looked = 0
}

// Gave returns how often w has given way.
func (w *Way) Gave() int { return w.gave }

// Close closes the descriptor. The Way may be used again.
func (w *Way) Close() { w.place.close() }
