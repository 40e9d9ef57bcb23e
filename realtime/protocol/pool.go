package protocol

import "sync"

// pool is a sync.Pool of one type.
type pool[T any] struct {
	fresh func() *T
	free  sync.Pool
}

func (p *pool[T]) take() *T {
	if v, ok := p.free.Get().(*T); ok {
		return v
	}
	return p.fresh()
}

func (p *pool[T]) put(v *T) { p.free.Put(v) }
