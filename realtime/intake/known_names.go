package intake

import "kentongan/realtime"

// knownNames remembers which channels the names are that have come, so that a name that comes again is neither parsed nor copied. It
// belongs to one goroutine; the zero value is ready for use.
type knownNames struct {
	channels map[string]realtime.Channel
}

// channel returns the channel that name is. At most so many are remembered; then it begins anew.
func (k *knownNames) channel(names *realtime.Names, name []byte, most int) (realtime.Channel, error) {
	if ch, ok := k.channels[string(name)]; ok {
		return ch, nil
	}
	ch, _, err := names.Parse(string(name))
	if err != nil {
		return ch, err //nolint:wrapcheck // the caller has words for it
	}
	if k.channels == nil || len(k.channels) >= most {
		k.channels = map[string]realtime.Channel{}
	}
	k.channels[string(name)] = ch
	return ch, nil
}
