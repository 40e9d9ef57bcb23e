//go:build !linux

package giveway

// place is nothing: there Give is what runtime.Gosched is.
type place struct{}

func (*place) sleep() {}

func (*place) close() {}
