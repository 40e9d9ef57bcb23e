package sqlite

// Read calls f with every statement that the readers of s have prepared.
func (s *Store) Read(f func(text string)) {
	for range s.opts.Readers {
		c := <-s.readers
		if c != nil {
			c.texts(f)
		}
		s.readers <- c
	}
}

// Written calls f with every statement that the writer of s has prepared. s must be closed.
func (s *Store) Written(f func(text string)) {
	s.writer.texts(f)
}

func (c *conn) texts(f func(text string)) {
	for text := range c.prepared {
		f(text)
	}
	for text := range c.acts {
		f(text)
	}
}

// Crowd has every call queue from now on, as if somebody always waited.
func (s *Store) Crowd() { s.waiting.Add(1) }

// Closed reports whether s was closed.
func (s *Store) Closed() bool {
	select {
	case <-s.stopped:
		return true
	default:
		return false
	}
}
