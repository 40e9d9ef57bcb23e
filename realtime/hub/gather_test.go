package hub_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"kentongan/realtime"
	"kentongan/realtime/hub"
	"kentongan/tenant"
)

// diary is a session that writes down everything in its order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func entry(ch realtime.Channel, what string, at realtime.Position) string {
	return fmt.Sprintf("%s %s %s/%d", ch.Name, what, at.Epoch, at.Offset)
}

func (d *diary) write(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) Offer(m *hub.Message) {
	d.write(entry(m.Publication.Channel, "publication", m.Publication.Position))
}
func (d *diary) OfferBatch(b *hub.Batch) { each(b, d.Offer) }
func (*diary) Near() uint64              { return 0 }

func (d *diary) OfferGap(_ string, g realtime.Gap) {
	d.write(entry(g.Channel, "gap", g.Position))
}

// of returns what d wrote of the channel.
func (d *diary) of(ch realtime.Channel) (lines []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, l := range d.lines {
		if len(l) > len(ch.Name) && l[:len(ch.Name)+1] == ch.Name+" " {
			lines = append(lines, l)
		}
	}
	return lines
}

// TestGather mixes Gather, Deliver, Gap and Flush in any order, in a small room, in one so large that others have their turn meanwhile, and in the global one: each channel comes
// in its order to everybody, and after a Flush nothing is held back.
func TestGather(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { gather(t, rand.New(rand.NewPCG(seed, 1))) })
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

func gather(t *testing.T, rng *rand.Rand) {
	t.Helper()
	broker := &fakeBroker{heads: realtime.Heads{Fresh: realtime.Position{Epoch: "e0"}}}
	h, stop := run(broker, hub.Options{Names: names(t), Shards: 1 + rng.IntN(2)})
	defer stop()
	channels := []realtime.Channel{
		{Tenant: "small", Name: "production:updates"}, {Tenant: "small", Name: "production:alerts"},
		{Tenant: "large", Name: "production:updates"}, {Tenant: tenant.Global, Name: "system-alert"},
	}
	diaries := map[tenant.ID][]*diary{}
	for id, size := range map[tenant.ID]int{"small": 3, "large": 100} {
		for range size {
			d := &diary{}
			diaries[id] = append(diaries[id], d)
			h.GoLive(subscribe(t, h, d, realtime.Channel{Tenant: id}), always)
		}
	}
	want := make([][]string, len(channels))
	heads := make([]realtime.Position, len(channels))
	for i := range heads {
		heads[i].Epoch = "e0"
	}
	for range 200 {
		i := rng.IntN(len(channels))
		ch, head := channels[i], &heads[i]
		switch rng.IntN(12) {
		case 0:
			h.Flush()
			synctest.Wait()
			check(t, channels, diaries, want)
			continue
		case 1:
			*head = realtime.Position{Epoch: fmt.Sprintf("e%d", rng.IntN(1e6)+1)}
			want[i] = append(want[i], entry(ch, "gap", *head))
			h.Gap(realtime.Gap{Channel: ch, Position: *head})
			continue
		case 2:
			synctest.Wait() // the shard has done what it was given
			continue
		}
		head.Offset++
		want[i] = append(want[i], entry(ch, "publication", *head))
		if p := publication(ch, head.Epoch, head.Offset); rng.IntN(4) == 0 {
			h.Deliver(p)
		} else {
			h.Gather(p)
		}
	}
	h.Flush()
	synctest.Wait()
	check(t, channels, diaries, want)
}

func check(t *testing.T, channels []realtime.Channel, diaries map[tenant.ID][]*diary, want [][]string) {
	t.Helper()
	for i, ch := range channels {
		for id, all := range diaries {
			if ch.Tenant != tenant.Global && ch.Tenant != id {
				continue
			}
			for _, d := range all {
				if got := d.of(ch); !slices.Equal(got, want[i]) {
					t.Fatalf("%s of %q: got %q, want %q", ch.Name, id, got, want[i])
				}
			}
		}
	}
}
