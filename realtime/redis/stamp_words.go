package redis

import (
	"strconv"

	"kentongan/realtime"
	"kentongan/tenant"
)

// stampWords knows what the script that stamps is told of each channel, so that it is spelled and looked for once. It is for one goroutine
// at a time; the zero value is ready for use.
type stampWords struct {
	channels map[realtime.Channel]*channelWords
	tenants  map[tenant.ID]*tenantWords
}

// channelWords is what the script is told of a channel with each message.
type channelWords struct {
	tenant         *tenantWords
	stream, newest string
	size, age      string
	snapshotKey    []string          // where it stands in the data; nil: the channel keeps no snapshot
	known          realtime.Position // acknowledged by Stamp; zero: none was
}

// tenantWords are what all channels of a tenant share.
type tenantWords struct {
	head, live string
	unweighed  int // bytes that the scales have not been told of
}

// maxChannelWords bounds the memory of words; it takes some 600 bytes each.
const maxChannelWords = 100_000

// of returns the words of ch.
func (s *stampWords) of(b *Broker, ch realtime.Channel) *channelWords {
	if w := s.channels[ch]; w != nil {
		return w
	}
	if s.channels == nil || len(s.channels) >= maxChannelWords {
		s.channels, s.tenants = map[realtime.Channel]*channelWords{}, map[tenant.ID]*tenantWords{}
	}
	t := s.tenants[ch.Tenant]
	if t == nil {
		t = &tenantWords{head: b.keys.head(ch.Tenant), live: b.keys.live(ch.Tenant)}
		s.tenants[ch.Tenant] = t
	}
	names := b.opts.Names
	keep := names.Retention(ch)
	w := &channelWords{
		tenant: t, stream: b.keys.stream(ch), newest: b.keys.newest(ch), snapshotKey: names.SnapshotPath(ch),
		size: strconv.Itoa(keep.Size), age: strconv.FormatInt(keep.Age.Milliseconds(), 10),
	}
	s.channels[ch] = w
	return w
}

// weigh notes bytes, and tells the scales of them when they are a part of what these weigh by that counts.
func (t *tenantWords) weigh(s *scales, id tenant.ID, bytes int) {
	if t.unweighed += bytes; t.unweighed >= s.step() {
		s.add(id, t.unweighed)
		t.unweighed = 0
	}
}
