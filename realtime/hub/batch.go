package hub

import "kentongan/realtime/protocol"

// Batch is several messages of one room that follow one another, for sessions that have had what comes before the first, and none of them.
// Each is encoded once, as for whoever gets it alone, and what they look like one behind the other is made once for all who get the same.
// As with a Message, only the shard uses it, and what its methods return stays valid and unchanged unless all have called Done.
type Batch struct {
	Messages []*Message // two or more

	frames  [dialects][2][2][]byte // by dialect, deflated or not, for those who may see all or not; empty: nobody has asked
	offered int                    // to how many sessions
	done    int                    // who have called Done
}

// dialects is how many there are.
const dialects = protocol.SSE + 1

// begin makes b the batch of what is missing. If nobody keeps frames of the one before, this one has their memory.
func (b *Batch) begin(missing []passenger) {
	kept := b.done != b.offered
	for i := range b.frames {
		for j := range b.frames[i] {
			for k, frames := range b.frames[i][j] {
				if kept {
					frames = nil
				}
				b.frames[i][j][k] = frames[:0]
			}
		}
	}
	clear(b.Messages)
	b.Messages = b.Messages[:0]
	for _, p := range missing {
		b.Messages = append(b.Messages, p.message)
	}
	b.offered, b.done = 0, 0
}

// Cursor returns the positions of all channels of who is being offered b, as one word: the last message is the newest that it has of them.
func (b *Batch) Cursor() string { return b.Messages[0].Cursor() }

// MayHide reports whether any of the publications may have hidden fields.
func (b *Batch) MayHide() bool {
	for _, m := range b.Messages {
		if m.MayHide() {
			return true
		}
	}
	return false
}

// Frames returns all that is sent in a dialect. plain is for those who may not see hidden fields.
func (b *Batch) Frames(d protocol.Dialect, deflate, plain bool) []byte {
	frames := &b.frames[d][bit(deflate)][bit(plain)]
	if len(*frames) == 0 {
		for _, m := range b.Messages {
			if plain {
				m = m.Plain()
			}
			*frames = append(*frames, m.Frame(d, deflate)...)
		}
	}
	return *frames
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// Done says that whoever is being offered b, and returns next, keeps nothing of it.
func (b *Batch) Done() { b.done++ }
