package intake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestRates has any number of publications come at any times: in no span of time are more let through than the bucket and what has
// flowed into it, nobody waits who need not, and who waits as long as was said is let through.
func TestRates(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		perSecond := rapid.OneOf(rapid.IntRange(1, 20), rapid.SampledFrom([]int{999, 1000, 7919, 1_000_000})).Draw(rt, "rate")
		pauses := rapid.SliceOfN(rapid.OneOf(rapid.Just(0), rapid.IntRange(0, 2*int(time.Second)/perSecond)), 1, 200).Draw(rt, "pauses")
		problem := ""
		synctest.Test(t, func(*testing.T) { problem = tryRates(perSecond, pauses) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

// tryRates publishes once after each pause, and says what is wrong.
func tryRates(perSecond int, pauses []int) string {
	r := NewRates(perSecond)
	var let []time.Time
	for _, pause := range pauses {
		time.Sleep(time.Duration(pause))
		if wait := r.Take("app"); wait > 0 {
			if recent := since(let, time.Now().Add(-time.Second-time.Duration(perSecond))); recent < perSecond {
				return fmt.Sprintf("has to wait %s after %d of %d in about a second", wait, recent, perSecond)
			}
			time.Sleep(wait - 1)
			if r.Take("app") == 0 {
				return fmt.Sprintf("need not have waited all of %s", wait)
			}
			time.Sleep(time.Nanosecond)
			if again := r.Take("app"); again > 0 {
				return fmt.Sprintf("has to wait %s after it has waited for %s", again, wait)
			}
		}
		let = append(let, time.Now())
		for i, begin := range let {
			span := time.Since(begin)
			if n, most := len(let)-i, perSecond+int(int64(span)*int64(perSecond)/int64(time.Second)); n > most {
				return fmt.Sprintf("%d were let through within %s, want at most %d", n, span, most)
			}
		}
	}
	if r.Take("other") > 0 {
		return "one key waits for another"
	}
	return ""
}

func since(times []time.Time, begin time.Time) (n int) {
	for _, at := range times {
		if at.After(begin) {
			n++
		}
	}
	return n
}

func TestRatesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates(100)
		var let atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					if r.Take("app") == 0 {
						let.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if n := let.Load(); n != 100 {
			t.Errorf("%d of 800 at once were let through, want 100", n)
		}
	})
}

func TestRatesOff(t *testing.T) {
	for range 10_000 {
		if wait := NewRates(0).Take("app"); wait > 0 {
			t.Fatalf("has to wait %s", wait)
		}
	}
}

func TestPublishTooFast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newHTTPDoor(t)
		d.opts.Rates = &Publishing{Keys: NewRates(2)}
		const one = `{"channel":"updates:a","data":1}`
		d.post(t, `{"channel":"nothing","data":1}`) // what is refused anyway costs nothing
		d.post(t, one)
		if status, header, body := d.post(t, one, "Authorization: Bearer only-a"); status != http.StatusOK || header.Get("Retry-After") != "" {
			t.Errorf("another key waits: %d %s", status, body)
		}
		d.post(t, one)
		status, header, body := d.post(t, one)
		if status != http.StatusTooManyRequests || header.Get("Retry-After") != "1" || codeIn(t, body) != codeTooFast || !strings.Contains(body, "try again in 500 ms") {
			t.Errorf("the third at once: %d %v %s", status, header, body)
		}
		time.Sleep(500 * time.Millisecond)
		if status, _, body := d.post(t, one); status != http.StatusOK {
			t.Errorf("after the wait: %d %s", status, body)
		}
		time.Sleep(time.Second)
		status, header, body = d.post(t, "["+strings.Repeat(one+",", 4)+`{"channel":"nothing","data":1}]`)
		var results []result
		if err := json.Unmarshal([]byte(body), &results); err != nil || len(results) != 5 {
			t.Fatalf("%s: %v", body, err)
		}
		var got []string
		for _, r := range results {
			if r.Error != nil {
				got = append(got, r.Error.Code)
			} else {
				got = append(got, "stored")
			}
		}
		// None behind the first that has to come again is tried, or it would overtake that.
		if want := fmt.Sprint([]string{"stored", "stored", codeTooFast, codeTooFast, codeTooFast}); fmt.Sprint(got) != want || status != http.StatusMultiStatus ||
			header.Get("Retry-After") != "1" {
			t.Errorf("a list past the rate: %d, %q, Retry-After %q; want %s", status, got, header.Get("Retry-After"), want)
		}
	})
}

// TestRatesOverNodes has any number of nodes, which want any number of publications a second, hear of each other after each second: soon
// they let through no more than the rate all together, but for what rounding and the nodes that are not told of add, and each that wants
// an equal part has it.
func TestRatesOverNodes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		rate := rapid.IntRange(20, 400).Draw(rt, "rate")
		wants := rapid.SliceOfN(rapid.IntRange(0, 2*rate), 1, 4).Draw(rt, "wants")
		problem := ""
		synctest.Test(t, func(*testing.T) { problem = tryNodes(rate, wants) })
		if problem != "" {
			rt.Fatal(problem)
		}
	})
}

func tryNodes(rate int, wants []int) string {
	nodes := make([]*Rates, len(wants))
	for i := range nodes {
		nodes[i] = NewRates(rate)
		nodes[i].Taken()
	}
	const seconds, settled = 12, 6
	let := make([]int, len(nodes))
	for second := range seconds {
		begun := time.Now()
		for tick := range 100 { // each spreads what it wants over the second
			for i, want := range wants {
				for range want*(tick+1)/100 - want*tick/100 {
					if nodes[i].Take("k1") == 0 && second >= settled {
						let[i]++
					}
				}
			}
			time.Sleep(time.Until(begun.Add(time.Duration(tick+1) * 10 * time.Millisecond)))
		}
		told := make([]map[string]int, len(nodes))
		for i, n := range nodes {
			told[i] = n.Taken()
		}
		for i, n := range nodes {
			sum := map[string]Elsewhere{}
			for j, other := range told {
				if n := other["k1"]; j != i && n > 0 {
					sum["k1"] = Elsewhere{PerSecond: sum["k1"].PerSecond + n, Nodes: sum["k1"].Nodes + 1}
				}
			}
			n.SetElsewhere(sum)
		}
	}
	all := 0
	for i, n := range let {
		all += n
		if fair := min(wants[i], rate/len(wants)); n < (fair-1)*(seconds-settled)*9/10 {
			return fmt.Sprintf("node %d wants %d a second and has %d in %d s, want nearly %d a second", i, wants[i], n, seconds-settled, fair)
		}
	}
	untold := len(nodes) * (rate/worthTelling + 1)
	if most := (rate + untold) * (seconds - settled) * 11 / 10; all > most {
		return fmt.Sprintf("%v are let through in %d s of %v wanted, want %d at most", let, seconds-settled, wants, most)
	}
	return ""
}
