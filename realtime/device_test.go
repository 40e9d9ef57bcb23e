package realtime_test

import (
	"bytes"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"kentongan/realtime"
)

var deviceStart = time.UnixMilli(1_700_000_000_000)

// deviceLog is a record with a clock.
type deviceLog struct {
	realtime.DeviceRecord
	now time.Time
}

func (d *deviceLog) note(kind realtime.DeviceEventKind, connection uint64, position string, silent time.Duration) {
	d.Apply(realtime.DeviceEvent{Kind: kind, Connection: connection, Position: position, Silent: silent}, d.now)
}

func (d *deviceLog) want(t *testing.T, when string, positions ...string) {
	t.Helper()
	got := d.Positions(d.now)
	slices.Sort(got)
	if !slices.Equal(got, positions) {
		t.Errorf("%s: positions %q, want %q", when, got, positions)
	}
}

func TestDeviceRecord(t *testing.T) {
	t.Run("OneTabComesBackAndIsForgotten", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		d.want(t, "at first")
		d.note(realtime.DeviceArrived, 1, "5", 0)
		d.note(realtime.DeviceProved, 1, "6", 0)
		d.now = d.now.Add(time.Minute)
		d.note(realtime.DeviceLost, 1, "7", 0)
		d.want(t, "lost", "7")
		d.now = d.now.Add(time.Hour)
		d.note(realtime.DeviceArrived, 2, "7", 0)
		d.note(realtime.DeviceProved, 2, "9", 0)
		d.want(t, "back", "7", "9")
		d.now = d.now.Add(31 * time.Second)
		d.want(t, "half a minute later", "9")
		d.note(realtime.DeviceLeft, 2, "", 0)
		d.want(t, "closed by its page")
	})
	t.Run("TwoTabsMayComeBackInAnyOrder", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		d.note(realtime.DeviceArrived, 1, "0", 0)
		d.note(realtime.DeviceArrived, 2, "0", 0)
		d.now = d.now.Add(time.Second)
		d.note(realtime.DeviceLost, 1, "5", 0)
		d.note(realtime.DeviceLost, 2, "8", 0)
		d.now = d.now.Add(time.Second)
		d.note(realtime.DeviceArrived, 3, "5", 0)
		d.now = d.now.Add(10 * time.Minute)
		d.note(realtime.DeviceProved, 3, "20", 0)
		d.want(t, "while the second is away", "20", "5", "8")
		d.note(realtime.DeviceArrived, 4, "5", 0)
		d.note(realtime.DeviceProved, 4, "20", 0)
		d.now = d.now.Add(31 * time.Second)
		d.want(t, "when both are back", "20")
	})
	t.Run("TheSecondIsNotWaitedForForEver", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		d.note(realtime.DeviceLost, 1, "5", 0)
		d.note(realtime.DeviceLost, 2, "8", 0)
		d.now = d.now.Add(time.Hour)
		d.want(t, "as long as none is back", "5", "8")
		d.note(realtime.DeviceArrived, 3, "20", 0)
		d.now = d.now.Add(16 * time.Minute)
		d.note(realtime.DeviceProved, 3, "30", 0)
		d.want(t, "a quarter of an hour after the first", "30")
	})
	t.Run("ALineWhoseEndIsNoticedLate", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		d.note(realtime.DeviceArrived, 1, "5", 0)
		d.now = d.now.Add(10 * time.Second)
		d.note(realtime.DeviceArrived, 2, "5", 0) // the same page, or another one
		d.now = d.now.Add(40 * time.Second)
		d.note(realtime.DeviceProved, 2, "9", 0)
		d.note(realtime.DeviceLost, 1, "5", 50*time.Second)
		d.want(t, "its page may be back already", "5", "9")
		d.now = d.now.Add(15 * time.Minute)
		d.note(realtime.DeviceProved, 2, "9", 0)
		d.want(t, "a quarter of an hour after somebody came", "9")
	})
	t.Run("ATabThatLivesIsNotReplaced", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		d.note(realtime.DeviceArrived, 1, "5", 0)
		d.now = d.now.Add(10 * time.Second)
		d.note(realtime.DeviceArrived, 2, "5", 0) // a second tab
		d.now = d.now.Add(time.Hour)
		d.note(realtime.DeviceProved, 2, "9", 0)
		d.note(realtime.DeviceLost, 1, "8", time.Second)
		d.now = d.now.Add(time.Hour)
		d.note(realtime.DeviceProved, 2, "9", 0)
		d.want(t, "nobody came since it was heard last", "8", "9")
	})
	t.Run("AKilledNode", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		d.note(realtime.DeviceArrived, 1, "5", 0)
		d.now = d.now.Add(time.Hour)
		d.want(t, "nobody says that it is lost", "5")
		d.note(realtime.DeviceArrived, 2, "5", 0)
		d.note(realtime.DeviceProved, 2, "9", 0)
		d.want(t, "somebody is back", "5", "9")
		d.now = d.now.Add(16 * time.Minute)
		d.note(realtime.DeviceProved, 2, "9", 0)
		d.want(t, "a quarter of an hour later", "9")
	})
	t.Run("ForgottenAfterDeviceMemory", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		d.note(realtime.DeviceLost, 1, "5", 0)
		d.now = d.now.Add(realtime.DeviceMemory)
		d.want(t, "at its end", "5")
		d.now = d.now.Add(time.Second)
		d.want(t, "after it")
	})
	t.Run("IsBounded", func(t *testing.T) {
		d := deviceLog{now: deviceStart}
		for i := range uint64(1000) {
			d.now = d.now.Add(time.Second)
			d.note(realtime.DeviceArrived, i, strconv.Itoa(int(i)), 0)
			d.note(realtime.DeviceLost, i, strconv.Itoa(int(i)), 0)
		}
		if got := d.Positions(d.now); len(got) > 16 || !slices.Contains(got, "999") {
			t.Errorf("after 1,000 connections %d positions are held: %q", len(got), got)
		}
		if got := d.Append(nil); len(got) > 1000 {
			t.Errorf("it has %d bytes", len(got))
		}
	})
}

// page is a tab of a browser. It is given everything after the position that its connection goes on from.
type page struct {
	id     uint64 // of its connection
	has    int    // it has everything up to here
	proven int    // the server knows that it has everything up to here
	heard  time.Time
	line   bool // its line is up
	open   bool // the server believes so
	killed bool // the server will never tell of its end
}

// TestDeviceHasNoHole lets the tabs of one browser lose their lines in all ways, seen and unseen, and come back in any order.
func TestDeviceHasNoHole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := deviceLog{now: deviceStart}
		head, ids := 0, uint64(0)
		var pages []*page       // that exist
		var old []*page         // connections that the server believes in and nobody sits at
		var firstBack time.Time // since when pages are waited for
		word := strconv.Itoa
		connect := func(p *page) {
			ids++
			d.now = d.now.Add(time.Millisecond) // nobody comes back in the same moment
			from := head
			for _, s := range d.Positions(d.now) {
				n, _ := strconv.Atoi(s)
				from = min(from, n)
			}
			if from > p.has {
				t.Fatalf("the page has all up to %d and is sent what comes after %d", p.has, from)
			}
			*p = page{id: ids, has: head, proven: from, heard: d.now, line: true, open: true}
			d.note(realtime.DeviceArrived, p.id, word(from), 0)
		}
		away := func() (n int) {
			for _, p := range pages {
				if !p.line {
					n++
				}
			}
			return n
		}
		pick := func(t *rapid.T, fits func(*page) bool) *page {
			var some []*page
			for _, p := range pages {
				if fits(p) {
					some = append(some, p)
				}
			}
			if len(some) == 0 {
				t.Skip("no such page")
			}
			return rapid.SampledFrom(some).Draw(t, "page")
		}
		up := func(p *page) bool { return p.line }
		pass := func(by time.Duration) {
			d.now = d.now.Add(by)
			for _, p := range pages {
				if p.line {
					p.heard = d.now
					d.note(realtime.DeviceProved, p.id, word(p.proven), 0) // as often as DeviceRefresh asks for
				}
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(*rapid.T) {
				head++
				for _, p := range pages {
					if p.line {
						p.has = head
					}
				}
			},
			"prove": func(t *rapid.T) {
				p := pick(t, up)
				p.proven, p.heard = p.has, d.now
				d.note(realtime.DeviceProved, p.id, word(p.proven), 0)
			},
			"new page": func(t *rapid.T) {
				if away() > 0 || len(pages) == 4 {
					t.Skip("a new page while another one is away is taken for it")
				}
				p := &page{has: head}
				pages = append(pages, p)
				connect(p)
			},
			"page closed": func(t *rapid.T) {
				p := pick(t, up)
				pages = slices.DeleteFunc(pages, func(o *page) bool { return o == p })
				d.note(realtime.DeviceLeft, p.id, "", 0)
			},
			"line lost": func(t *rapid.T) {
				p := pick(t, up)
				p.line = false
				p.killed = rapid.Bool().Draw(t, "with its node")
				if rapid.Bool().Draw(t, "at once") && !p.killed {
					p.open = false
					d.note(realtime.DeviceLost, p.id, word(p.proven), 0)
				}
				if away() == 1 {
					firstBack = time.Time{}
				}
			},
			"loss noticed": func(*rapid.T) {
				for _, p := range append(slices.Clone(old), pages...) {
					if !p.line && p.open && !p.killed {
						p.open = false
						d.note(realtime.DeviceLost, p.id, word(p.proven), d.now.Sub(p.heard))
					}
				}
			},
			"page comes back": func(t *rapid.T) {
				p := pick(t, func(p *page) bool { return !p.line })
				if p.open && !p.killed {
					was := *p
					old = append(old, &was)
				}
				connect(p)
				if firstBack.IsZero() {
					firstBack = d.now
				}
			},
			"time passes": func(t *rapid.T) {
				by := time.Duration(rapid.IntRange(1, 120).Draw(t, "seconds")) * time.Second
				if away() > 0 && !firstBack.IsZero() && d.now.Add(by).Sub(firstBack) > 15*time.Minute {
					t.Skip("longer than a page is waited for")
				}
				pass(by)
			},
		})
		for _, p := range pages {
			if !p.line {
				connect(p)
			}
		}
		for range 20 {
			pass(time.Minute)
		}
		for _, p := range pages {
			p.proven = head
		}
		pass(time.Second)
		for _, s := range d.Positions(d.now) {
			if n, _ := strconv.Atoi(s); n != head {
				t.Fatalf("when all are back and a long time has passed, %d is still kept, and %d was proven by all", n, head)
			}
		}
	})
}

func FuzzDeviceRecord(f *testing.F) {
	d := deviceLog{now: deviceStart}
	d.note(realtime.DeviceArrived, 1, "AQx", 0)
	d.note(realtime.DeviceLost, 2, "AQxrM3Y5eDJtN3E0YWI", time.Minute)
	another := string(d.Append(nil))
	f.Add(another)
	f.Add("\x01\x00\x00")
	f.Fuzz(func(t *testing.T, b string) {
		var r, again realtime.DeviceRecord
		if err := r.Parse(b); err != nil {
			if got := r.Append(nil); !bytes.Equal(got, new(realtime.DeviceRecord).Append(nil)) {
				t.Errorf("%x is no record, and leaves %x", b, got)
			}
			return
		}
		if err := again.Parse(another); err != nil {
			t.Fatal(err)
		}
		if err := again.Parse(string(r.Append(nil))); err != nil || !bytes.Equal(again.Append(nil), r.Append(nil)) {
			t.Errorf("%x is read, and not when it is written again: %v", b, err)
		}
		r.Apply(realtime.DeviceEvent{Kind: realtime.DeviceArrived, Connection: 7, Position: "x"}, deviceStart)
		if got := r.Positions(deviceStart); len(got) == 0 {
			t.Errorf("%x: a new connection has no position", b)
		}
	})
}

func TestDeviceRecordIsReadAsItWasWritten(t *testing.T) {
	d := deviceLog{now: deviceStart}
	for i := range uint64(20) {
		d.now = d.now.Add(time.Second)
		d.note(realtime.DeviceArrived, i, strconv.Itoa(int(i)), 0)
		if i%3 == 0 {
			d.note(realtime.DeviceLost, i, strconv.Itoa(int(i)), time.Second)
		}
	}
	var again realtime.DeviceRecord
	if err := again.Parse(string(d.Append(nil))); err != nil {
		t.Fatal(err)
	}
	if got, want := again.Positions(d.now), d.Positions(d.now); !slices.Equal(got, want) || len(want) == 0 {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := again.Parse(string(append(d.Append(nil), 0))); err == nil {
		t.Error("a byte too many is accepted")
	}
}
