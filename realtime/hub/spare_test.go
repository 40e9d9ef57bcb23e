package hub_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/realtime/protocol"
)

// keeper keeps a frame now and then, as a session does whose peer does not read, and else says that it has none.
type keeper struct {
	reader

	chance   *rand.Rand
	odds     int // of keeping it: one in so many
	deflates bool
	v1       bool
	frames   [][]byte // that are kept
	were     [][]byte // what they were when they were offered
}

func (k *keeper) Offer(m *hub.Message) {
	if k.chance.IntN(5) == 0 {
		k.use(m, m.Plain())
		return
	}
	k.use(m, m)
}

func (k *keeper) use(offered, m *hub.Message) {
	frame := m.Bare(k.deflates)
	if k.v1 {
		frame = m.V1(k.deflates)
	}
	k.see(frame, offered.Done, m)
}

func (k *keeper) OfferBatch(b *hub.Batch) {
	d := protocol.Bare
	if k.v1 {
		d = protocol.V1
	}
	k.see(b.Frames(d, k.deflates, k.chance.IntN(5) == 0), b.Done, b.Messages...)
}

// see keeps what is made of messages, or calls done.
func (k *keeper) see(frames []byte, done func(), messages ...*hub.Message) {
	rest := frames
	for _, m := range messages {
		want := fmt.Appendf(nil, `"n":%d,`, m.Publication.Position.Offset)
		at := bytes.Index(rest, want)
		if !k.deflates && at < 0 {
			panic(fmt.Sprintf("%q is not in %q", want, rest))
		}
		rest = rest[max(at, 0):]
	}
	if k.chance.IntN(k.odds) > 0 {
		done()
		return
	}
	k.frames, k.were = append(k.frames, frames), append(k.were, bytes.Clone(frames))
}

// TestKeptFramesStay has sessions of both dialects keep frames or not, of messages with something to hide and without, large and small, to
// small rooms and to large ones: what is kept is never written to, though what nobody keeps is used again.
func TestKeptFramesStay(t *testing.T) {
	kept := 0
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) { kept += keepFrames(t, seed) })
	}
	if kept == 0 {
		t.Error("nothing was kept")
	}
}

// keepFrames returns how many frames were kept.
func keepFrames(t *testing.T, seed uint64) (kept int) {
	chance := rand.New(rand.NewPCG(seed, 1))
	hidden, err := realtime.NewHiddenFields([]string{"costs"})
	if err != nil {
		t.Fatal(err)
	}
	h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}},
		hub.Options{Names: names(t), Shards: 1, Hidden: hidden})
	defer stop()
	ch := realtime.Channel{Tenant: "k", Name: "updates"}
	keepers := make([]*keeper, 1+chance.IntN(6)+90*chance.IntN(2))
	for i := range keepers {
		k := &keeper{
			chance: rand.New(rand.NewPCG(seed, uint64(i))), odds: 2 + chance.IntN(400),
			deflates: chance.IntN(4) == 0, v1: chance.IntN(2) == 0,
		}
		keepers[i] = k
		h.GoLive(subscribe(t, h, k, realtime.Channel{Tenant: "k"}), always)
	}
	for n := range uint64(120) {
		p := publication(ch, "e", n+1)
		costs := ""
		if chance.IntN(3) == 0 {
			costs = `"costs":1,`
		}
		p.Data = fmt.Appendf(nil, `{%s"n":%d,"text":"%s"}`, costs, n+1, bytes.Repeat([]byte{'a' + byte(n%26)}, chance.IntN(1000)))
		h.Deliver(p)
	}
	synctest.Wait()
	for _, k := range keepers {
		kept += len(k.frames)
		for i, frame := range k.frames {
			if !bytes.Equal(frame, k.were[i]) {
				t.Fatalf("seed %d: a kept frame was %.80q, and is %.80q", seed, k.were[i], frame)
			}
		}
	}
	return kept
}

// done takes a frame, and keeps none.
type done struct {
	reader
	v1 bool
}

func (d *done) Offer(m *hub.Message) {
	if d.v1 {
		m.V1(false)
	} else {
		m.Bare(false)
	}
	m.Done()
}

// TestDeliveryWithoutGarbage: a message to a small room whose sessions keep nothing allocates nothing in the hub.
func TestDeliveryWithoutGarbage(t *testing.T) {
	const name = "production:updates"
	for which, follows := range map[string]struct {
		channel string
		v1      bool
	}{
		"all channels, bare": {"", false},
		"a channel, bare":    {name, false},
		"a channel, v1":      {name, true},
	} {
		t.Run(which, func(t *testing.T) {
			h, stop := run(&fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e"}}}, hub.Options{Names: names(t), Shards: 1})
			defer stop()
			for range 5 {
				h.GoLive(subscribe(t, h, &done{v1: follows.v1}, realtime.Channel{Tenant: "k", Name: follows.channel}), always)
			}
			p := publication(realtime.Channel{Tenant: "k", Name: name}, "e", 0)
			deliver := func() {
				p.Position.Offset++
				h.Deliver(p)
			}
			deliver()
			if each := testing.AllocsPerRun(200, deliver); each >= 1 {
				t.Errorf("%v allocations a message", each)
			}
		})
	}
}
