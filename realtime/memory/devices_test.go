package memory_test

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/memory"
)

func TestDevices(t *testing.T) {
	brokertest.RunDevices(t, func(*testing.T) brokertest.DevicesEngine {
		return brokertest.DevicesEngine{Open: func(*testing.T) (realtime.Devices, func()) { return &memory.Devices{}, func() {} }}
	})
}

// TestDevicesOfOneKitchen has a kitchen grow from a device to many and back: each is found all the time, and those that were not heard of
// for too long are not.
func TestDevicesOfOneKitchen(t *testing.T) {
	const many = 30
	synctest.Test(t, func(t *testing.T) {
		d := &memory.Devices{}
		device := func(i int) realtime.Device {
			return realtime.Device{Tenant: "k1", ID: realtime.DeviceID{byte(i)}}
		}
		want := func(from, to int) {
			t.Helper()
			for i := range many {
				positions, known, err := d.Positions(context.Background(), device(i))
				if err != nil {
					t.Fatal(err)
				}
				if in := i >= from && i < to; known != in || in && !slices.Equal(positions, []string{strconv.Itoa(i)}) {
					t.Fatalf("device %d is known: %v, with the positions %q; those from %d to %d should be known", i, known, positions, from, to-1)
				}
			}
		}
		for range 2 {
			for i := range many {
				d.Note(device(i), realtime.DeviceEvent{Kind: realtime.DeviceLost, Connection: 1, Position: strconv.Itoa(i)})
				want(0, i+1)
				time.Sleep(time.Hour)
			}
			time.Sleep(realtime.DeviceMemory - many*time.Hour)
			for i := range many {
				want(i, many)
				time.Sleep(time.Second)
				want(i+1, many)
				time.Sleep(time.Hour - time.Second)
			}
		}
	})
}

func TestDevicesExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &memory.Devices{}
		device := realtime.Device{Tenant: "k1", ID: realtime.DeviceID{1}}
		known := func() bool {
			_, known, err := d.Positions(context.Background(), device)
			if err != nil {
				t.Fatal(err)
			}
			return known
		}
		d.Note(device, realtime.DeviceEvent{Kind: realtime.DeviceLeft, Connection: 1})
		time.Sleep(realtime.DeviceMemory)
		if !known() {
			t.Error("at the end of its time the device is not known")
		}
		time.Sleep(time.Second)
		if known() {
			t.Error("after its time the device is known")
		}
	})
}
