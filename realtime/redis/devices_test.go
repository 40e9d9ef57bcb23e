package redis_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"kentongan/internal/testenv"
	"kentongan/realtime"
	"kentongan/realtime/brokertest"
	"kentongan/realtime/redis"
)

func TestDevices(t *testing.T) {
	addr := testenv.Redis(t)
	brokertest.RunDevices(t, func(*testing.T) brokertest.DevicesEngine {
		prefix := newPrefix()
		return brokertest.DevicesEngine{Shared: true, Open: func(t *testing.T) (realtime.Devices, func()) {
			b := open(t, patient(redis.Options{Address: addr, Prefix: prefix}))
			return b.Devices(), run(t, b, nothing{})
		}}
	})
}

// TestDevicesOutliveAnOutage notes events while Redis is out: they are written when it is back, in their order.
func TestDevicesOutliveAnOutage(t *testing.T) {
	server := testenv.StartRedis(t, "--appendonly", "yes")
	b := open(t, redis.Options{Address: server.Addr, CommandTimeout: time.Second})
	run(t, b, nothing{})
	other := open(t, redis.Options{Address: server.Addr})
	run(t, other, nothing{})
	device := realtime.Device{Tenant: "k1", ID: realtime.DeviceID{1}}
	want := func(position string) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			got, known, err := other.Devices().Positions(context.Background(), device)
			if err == nil && known && len(got) == 1 && got[0] == position {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("another node reads %q, %v, %v; want %q", got, known, err, position)
			}
		}
	}
	b.Devices().Note(device, realtime.DeviceEvent{Kind: realtime.DeviceArrived, Connection: 1, Position: "a"})
	want("a")
	server.Kill()
	b.Devices().Note(device, realtime.DeviceEvent{Kind: realtime.DeviceProved, Connection: 1, Position: "b"})
	b.Devices().Note(device, realtime.DeviceEvent{Kind: realtime.DeviceLost, Connection: 1, Position: "c"})
	if _, _, err := b.Devices().Positions(context.Background(), device); !errors.Is(err, realtime.ErrUnavailable) {
		t.Errorf("positions without Redis: %v, want ErrUnavailable", err)
	}
	server.Restart()
	want("c")
}

// TestDevicesInAnotherFormat finds what another version has stored. It is as good as nothing, and is written over.
func TestDevicesInAnotherFormat(t *testing.T) {
	addr := testenv.Redis(t)
	b := open(t, redis.Options{Address: addr})
	run(t, b, nothing{})
	device := realtime.Device{Tenant: "k1", ID: realtime.DeviceID{1}}
	const key = "kentongan:{k1}:dev:01000000000000000000000000000000"
	c := admin(t, addr)
	do(t, c, "SET", key, "\xff?")
	if got, known, err := b.Devices().Positions(t.Context(), device); len(got) != 0 || known || err != nil {
		t.Errorf("got %q, %v, %v; want a device that is not known", got, known, err)
	}
	b.Devices().Note(device, realtime.DeviceEvent{Kind: realtime.DeviceArrived, Connection: 1, Position: "a"})
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text, err := do(t, c, "GET", key).ToString()
		if bad := new(realtime.DeviceRecord).Parse(text); err == nil && bad == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still %q, %v", text, err)
		}
	}
}
