package auth

import "sync"

// scratch is the memory in which a session token is opened and its claims are read. An Identity keeps nothing of it, so it serves the
// next token: when thousands connect at once, they make no garbage for what each of them needs for some microseconds.
type scratch struct {
	memory []byte // of parseSealed
	claims claims
}

// maxScratch is what is kept for the next token, in bytes; twice a usual session fits in.
const maxScratch = 8 << 10

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// release gives s to the next token. Nothing of this one stays behind.
func (s *scratch) release() {
	clear(s.memory[:cap(s.memory)]) // what could not be decoded reached further than the rest
	s.claims = claims{}
	if cap(s.memory) > maxScratch {
		s.memory = nil
	}
	scratches.Put(s)
}
