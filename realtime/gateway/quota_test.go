package gateway

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/auth"
)

// TestPace has an address come at any times: in no span more upgrades are let through than the burst and the rate allow, who waits as long
// as was said is let through, and another address does not wait for it.
func TestPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 25).Draw(t, "rate")
		p := pace{every: time.Second / time.Duration(rate)}
		a, b := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2")
		burst := int(upgradeBurst / p.every)
		taken := 0
		now := time.Duration(0)
		for i, pause := range rapid.SliceOfN(rapid.Int64Range(0, int64(100*time.Millisecond)), 300, 1500).Draw(t, "pauses") {
			now += time.Duration(pause)
			wait := p.take(a, now)
			switch {
			case wait == 0:
				if taken++; taken > burst+int(now/p.every)+1 {
					t.Fatalf("%d upgrades in %v are let through", taken, now)
				}
			case i < burst:
				t.Fatalf("upgrade %d has to wait for %v, within the burst of %d", i+1, wait, burst)
			default:
				if p.take(a, now+wait-1) == 0 {
					t.Fatalf("need not have waited for all of %v", wait)
				}
				now += wait
				if again := p.take(a, now); again > 0 {
					t.Fatalf("has to wait for %v after it has waited for %v", again, wait)
				}
				taken++
			}
		}
		if wait := p.take(b, now); wait > 0 {
			t.Fatalf("another address has to wait for %v", wait)
		}
	})
}

// TestPaceForgets has more addresses come than are remembered: the memory is bounded, and those whose bucket is full again make room.
func TestPaceForgets(t *testing.T) {
	p := pace{every: time.Second}
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)}) }
	for i := range maxPaced + 1000 {
		if wait := p.take(address(i), time.Millisecond); wait > 0 {
			t.Fatalf("address %d has to wait at its first upgrade", i)
		}
	}
	if len(p.full) > maxPaced {
		t.Errorf("%d addresses are remembered", len(p.full))
	}
	p.take(address(maxPaced+2000), 5*time.Second)
	if len(p.full) != 1 {
		t.Errorf("%d addresses are remembered after all buckets are full again", len(p.full))
	}
}

// TestSeatsAreGivenBack seats and unseats: afterwards nothing is remembered.
func TestSeatsAreGivenBack(t *testing.T) {
	limits := Quotas{PerTenant: 3, PerUser: 2, PerAddress: 2}
	rapid.Check(t, func(t *rapid.T) {
		q := newSeats()
		type seat struct {
			who  int
			from netip.Addr
		}
		var taken []seat
		for range rapid.IntRange(1, 60).Draw(t, "acts") {
			if len(taken) > 0 && rapid.Bool().Draw(t, "leave") {
				i := rapid.IntRange(0, len(taken)-1).Draw(t, "who")
				q.giveBack(limits, people[taken[i].who], taken[i].from)
				taken = append(taken[:i], taken[i+1:]...)
				continue
			}
			s := seat{rapid.IntRange(0, len(people)-1).Draw(t, "person"), netip.AddrFrom4([4]byte{203, 0, 113, byte(rapid.IntRange(1, 3).Draw(t, "from"))})}
			who := people[s.who]
			kitchen, user, from := 0, 0, 0
			for _, other := range taken {
				if people[other.who].Tenant == who.Tenant && who.Tenant != "" {
					kitchen++
				}
				if other.who == s.who && !who.Server {
					user++
				}
				if other.from == s.from {
					from++
				}
			}
			want := ""
			switch {
			case kitchen >= limits.PerTenant:
				want = fullTenant
			case user >= limits.PerUser:
				want = fullUser
			case from >= limits.PerAddress:
				want = fullAddress
			}
			if got := q.take(limits, who, s.from); got != want {
				t.Fatalf("refused for %q, want %q (kitchen %d, user %d, address %d)", got, want, kitchen, user, from)
			}
			if want == "" {
				taken = append(taken, s)
			}
		}
		for _, s := range taken {
			q.giveBack(limits, people[s.who], s.from)
		}
		if len(q.tenants)+len(q.users)+len(q.addresses) > 0 {
			t.Fatalf("when all have left there is still %v", q)
		}
	})
}

var people = []*auth.Identity{
	{Subject: "u1", Tenant: "a"}, {Subject: "u2", Tenant: "a"}, {Subject: "u1", Tenant: "b"},
	{Subject: "app", Server: true}, {Subject: "laravel", Tenant: "a", Server: true},
}
