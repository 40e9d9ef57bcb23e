package brokertest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"kentongan/realtime"
	"kentongan/tenant"
)

// DevicesEngine is one instance of what Devices share.
type DevicesEngine struct {
	// Open returns Devices that are running, and a function that ends them in good order. Called twice, they are two nodes.
	Open   func(t *testing.T) (d realtime.Devices, stop func())
	Shared bool // they remember together, and longer than they live
}

// RunDevices tests that Devices keep the contract. newEngine is called once for each subtest. The rules of the record have tests
// of their own beside it.
func RunDevices(t *testing.T, newEngine func(t *testing.T) DevicesEngine) {
	for _, c := range []struct {
		name string
		test func(*testing.T, DevicesEngine)
	}{
		{"RemembersPositions", devicesRemember},
		{"TenantsAndDevicesAreIndependent", devicesIndependent},
		{"PositionsAreByteIdentical", devicesBytes},
		{"Concurrently", devicesConcurrently},
		{"BoundedForEachTenant", devicesBounded},
		{"TwoNodes", devicesNodes},
		{"TwoNodesAtOnce", devicesNodesAtOnce},
		{"ReopenedReadsOn", devicesReopened},
		{"EndedContextIsUnavailable", devicesContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, newEngine(t)) })
	}
}

func device(t tenant.ID, n byte) realtime.Device {
	return realtime.Device{Tenant: t, ID: realtime.DeviceID{n, 0, '}', ':', 15: n}}
}

func note(d realtime.Devices, dev realtime.Device, kind realtime.DeviceEventKind, connection uint64, position string) {
	d.Note(dev, realtime.DeviceEvent{Kind: kind, Connection: connection, Position: position})
}

// wantPositions waits until dev is known with exactly these positions, in any order.
func wantPositions(t *testing.T, d realtime.Devices, dev realtime.Device, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("positions %q", want), func() bool {
		got, known, err := d.Positions(context.Background(), dev)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(got)
		return known && slices.Equal(got, append([]string(nil), want...))
	})
}

func wantUnknown(t *testing.T, d realtime.Devices, dev realtime.Device) {
	t.Helper()
	if got, known, err := d.Positions(context.Background(), dev); known || len(got) > 0 || err != nil {
		t.Errorf("got %q, known %v, %v; want a device that is not known", got, known, err)
	}
}

func devicesRemember(t *testing.T, e DevicesEngine) {
	d, stop := e.Open(t)
	defer stop()
	dev := device("k1", 1)
	wantUnknown(t, d, dev)
	note(d, dev, realtime.DeviceArrived, 7, "a5")
	wantPositions(t, d, dev, "a5")
	note(d, dev, realtime.DeviceProved, 7, "a6")
	note(d, dev, realtime.DeviceProved, 7, "a7")
	wantPositions(t, d, dev, "a7")
	note(d, dev, realtime.DeviceArrived, 8, "a7")
	note(d, dev, realtime.DeviceProved, 8, "a9")
	note(d, dev, realtime.DeviceLost, 7, "a8")
	wantPositions(t, d, dev, "a8", "a9")
	note(d, dev, realtime.DeviceLeft, 8, "")
	wantPositions(t, d, dev, "a8")
	note(d, dev, realtime.DeviceLeft, 7, "")
	wantPositions(t, d, dev) // known still, with nothing to go on from
}

func devicesIndependent(t *testing.T, e DevicesEngine) {
	d, stop := e.Open(t)
	defer stop()
	note(d, device("k1", 1), realtime.DeviceLost, 7, "a5")
	note(d, device("k1", 2), realtime.DeviceLost, 7, "b5")
	note(d, device(tenant.Global, 1), realtime.DeviceLost, 7, "g5")
	wantPositions(t, d, device("k1", 1), "a5")
	wantPositions(t, d, device("k1", 2), "b5")
	wantPositions(t, d, device(tenant.Global, 1), "g5")
	wantUnknown(t, d, device("k2", 1)) // the same browser, signed in to another kitchen
	wantUnknown(t, d, device("k", 1))
	wantUnknown(t, d, device("k1", 3))
}

func devicesBytes(t *testing.T, e DevicesEngine) {
	d, stop := e.Open(t)
	defer stop()
	for i, position := range []string{"", "\x00\r\n\xff", strings.Repeat("x", realtime.MaxDevicePosition)} {
		dev := device("k1", byte(i))
		note(d, dev, realtime.DeviceArrived, 1<<63+uint64(i), position)
		wantPositions(t, d, dev, position)
	}
}

func devicesConcurrently(t *testing.T, e DevicesEngine) {
	d, stop := e.Open(t)
	defer stop()
	var wg sync.WaitGroup
	for i := range uint64(8) {
		wg.Go(func() {
			dev := device("k1", byte(i%2))
			note(d, dev, realtime.DeviceArrived, i, "start")
			for n := range 50 {
				note(d, dev, realtime.DeviceProved, i, fmt.Sprintf("%d/%02d", i, n))
				if _, _, err := d.Positions(context.Background(), dev); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantPositions(t, d, device("k1", 0), "0/49", "2/49", "4/49", "6/49")
	wantPositions(t, d, device("k1", 1), "1/49", "3/49", "5/49", "7/49")
}

func devicesBounded(t *testing.T, e DevicesEngine) {
	d, stop := e.Open(t)
	defer stop()
	quiet, first := device("quiet", 1), device("noisy", 1)
	note(d, quiet, realtime.DeviceArrived, 1, "q")
	note(d, first, realtime.DeviceArrived, 1, "f")
	wantPositions(t, d, first, "f")
	if e.Shared { // of devices that are written in the same millisecond, any may be the oldest
		other, end := e.Open(t)
		defer end()
		eventually(t, "the first device to be written", func() bool {
			_, known, err := other.Positions(context.Background(), first)
			return err == nil && known
		})
	}
	var last realtime.Device
	for i := range realtime.MaxDevices + 10 {
		last = realtime.Device{Tenant: "noisy", ID: realtime.DeviceID{1, byte(i >> 8), byte(i)}}
		note(d, last, realtime.DeviceArrived, 1, "n")
	}
	wantPositions(t, d, last, "n")
	eventually(t, "the first device to be forgotten", func() bool {
		_, known, err := d.Positions(context.Background(), first)
		return err == nil && !known
	})
	wantPositions(t, d, quiet, "q")
}

func devicesNodes(t *testing.T, e DevicesEngine) {
	d1, stop1 := e.Open(t)
	defer stop1()
	d2, stop2 := e.Open(t)
	defer stop2()
	dev := device("k1", 1)
	note(d1, dev, realtime.DeviceArrived, 1, "a1")
	if !e.Shared {
		wantPositions(t, d1, dev, "a1")
		wantUnknown(t, d2, dev)
		return
	}
	wantPositions(t, d2, dev, "a1")
	note(d2, dev, realtime.DeviceArrived, 2, "a1")
	note(d2, dev, realtime.DeviceProved, 2, "a4")
	note(d1, dev, realtime.DeviceLost, 1, "a3")
	for _, d := range []realtime.Devices{d1, d2} {
		wantPositions(t, d, dev, "a3", "a4")
	}
}

// devicesNodesAtOnce has two nodes write the same record: neither may undo what the other wrote.
func devicesNodesAtOnce(t *testing.T, e DevicesEngine) {
	if !e.Shared {
		devicesNodes(t, e) // no record has two writers: they remember apart
		return
	}
	d1, stop1 := e.Open(t)
	defer stop1()
	d2, stop2 := e.Open(t)
	defer stop2()
	var wg sync.WaitGroup
	var want []string
	dev := device("k1", 1)
	for i, d := range []realtime.Devices{d1, d2} {
		want = append(want, fmt.Sprintf("%d/199", i))
		wg.Go(func() {
			for n := range 200 {
				note(d, dev, realtime.DeviceLost, uint64(i), fmt.Sprintf("%d/%03d", i, n))
			}
		})
	}
	wg.Wait()
	wantPositions(t, d1, dev, want...)
	wantPositions(t, d2, dev, want...)
}

func devicesReopened(t *testing.T, e DevicesEngine) {
	d, stop := e.Open(t)
	if !e.Shared {
		note(d, device("k1", 1), realtime.DeviceProved, 1, "1")
		stop()
		d, stop = e.Open(t)
		defer stop()
		if _, known, err := d.Positions(context.Background(), device("k1", 1)); known || err != nil {
			t.Errorf("a new process knows a device of the old one: %v, %v", known, err)
		}
		return
	}
	for i := range byte(100) {
		note(d, device("k1", i), realtime.DeviceProved, 1, fmt.Sprint(i))
	}
	stop() // in good order: nothing that was noted is lost
	again, stop := e.Open(t)
	defer stop()
	for i := range byte(100) {
		wantPositions(t, again, device("k1", i), fmt.Sprint(i))
	}
}

func devicesContext(t *testing.T, e DevicesEngine) {
	d, stop := e.Open(t)
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, _, err := d.Positions(ctx, device("k1", 1))
	mustBe(t, err, realtime.ErrUnavailable)
	mustBe(t, err, context.Canceled)
}
