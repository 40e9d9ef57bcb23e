package memory_test

import (
	"context"
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
