package memory

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Devices is the realtime.Devices of one process. Its zero value is ready. It holds realtime.MaxDevices a tenant, and maxDevices in all.
type Devices struct {
	mu      sync.Mutex
	records map[realtime.Device]*deviceEntry
	all     list.List // of *deviceEntry, the one that was heard of last in front
	tenants map[tenant.ID]*list.List
}

// deviceEntry is one device, with its places in the two lists.
type deviceEntry struct {
	device       realtime.Device
	record       realtime.DeviceRecord
	heard        time.Time
	all, kitchen *list.Element
}

// maxDevices is six for each of 35,000 kitchens; with one tab each they take about 100 MB.
const maxDevices = 200_000

var _ realtime.Devices = (*Devices)(nil)

// Positions implements realtime.Devices.
func (d *Devices) Positions(ctx context.Context, device realtime.Device) (positions []string, known bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, fmt.Errorf("positions of a device: %w: %w", realtime.ErrUnavailable, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	d.expire(now)
	e := d.records[device]
	if e == nil {
		return nil, false, nil
	}
	return e.record.Positions(now), true, nil
}

// Note implements realtime.Devices.
func (d *Devices) Note(device realtime.Device, event realtime.DeviceEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	e := d.records[device]
	if e == nil {
		e = d.add(device)
	} else {
		d.all.MoveToFront(e.all)
		d.tenants[device.Tenant].MoveToFront(e.kitchen)
	}
	e.heard = now
	e.record.Apply(event, now)
	d.expire(now)
}

func (d *Devices) add(device realtime.Device) *deviceEntry {
	if d.records == nil {
		d.records, d.tenants = map[realtime.Device]*deviceEntry{}, map[tenant.ID]*list.List{}
	}
	kitchen := d.tenants[device.Tenant]
	if kitchen == nil {
		kitchen = list.New()
		d.tenants[device.Tenant] = kitchen
	}
	e := &deviceEntry{device: device}
	e.all, e.kitchen = d.all.PushFront(e), kitchen.PushFront(e)
	d.records[device] = e
	if kitchen.Len() > realtime.MaxDevices {
		d.remove(kitchen.Back())
	}
	if d.all.Len() > maxDevices {
		d.remove(d.all.Back())
	}
	return e
}

// expire forgets the devices that were not heard of for realtime.DeviceMemory.
func (d *Devices) expire(now time.Time) {
	for last := d.all.Back(); last != nil; last = d.all.Back() {
		if e, ok := last.Value.(*deviceEntry); ok && now.Sub(e.heard) <= realtime.DeviceMemory {
			return
		}
		d.remove(last)
	}
}

func (d *Devices) remove(place *list.Element) {
	e, ok := place.Value.(*deviceEntry)
	if !ok {
		panic("memory: a list of devices holds something else")
	}
	d.all.Remove(e.all)
	kitchen := d.tenants[e.device.Tenant]
	kitchen.Remove(e.kitchen)
	if kitchen.Len() == 0 {
		delete(d.tenants, e.device.Tenant)
	}
	delete(d.records, e.device)
}
