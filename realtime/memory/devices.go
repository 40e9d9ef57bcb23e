package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kentongan/realtime"
	"kentongan/tenant"
)

// Devices is the realtime.Devices of one process. Its zero value is ready. It holds realtime.MaxDevices a tenant, and maxDevices in all.
//
// There is an entry for each browser that is connected, so an entry is small: it is its own place in the two queues, and a kitchen's few
// devices are found by looking at all of them.
type Devices struct {
	mu       sync.Mutex
	kitchens map[tenant.ID]*deviceKitchen
	all      deviceQueue
}

// deviceKitchen is the devices of one tenant; at least one.
type deviceKitchen struct {
	tenant tenant.ID
	queue  deviceQueue
	index  map[realtime.DeviceID]*deviceEntry // nil: they are few enough to walk the queue
}

// deviceEntry is one device.
type deviceEntry struct {
	id      realtime.DeviceID
	kitchen *deviceKitchen
	record  realtime.DeviceRecord
	heard   int64          // in ms, by the clock of the record
	places  [2]devicePlace // in the queue of all and in that of its kitchen
}

// maxDevices is six for each of 35,000 kitchens; with one tab each they take about 50 MB.
const maxDevices = 200_000

// walkable is how many devices of a kitchen are looked at one by one.
const walkable = 8

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
	e := d.kitchens[device.Tenant].find(device.ID)
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
	e := d.kitchens[device.Tenant].find(device.ID)
	if e == nil {
		e = d.add(device)
	} else {
		d.all.remove(e, ofAll)
		d.all.push(e, ofAll)
		e.kitchen.queue.remove(e, ofKitchen)
		e.kitchen.queue.push(e, ofKitchen)
	}
	e.heard = now.UnixMilli()
	e.record.Apply(event, now)
	d.expire(now)
}

func (d *Devices) add(device realtime.Device) *deviceEntry {
	if d.kitchens == nil {
		d.kitchens = map[tenant.ID]*deviceKitchen{}
	}
	k := d.kitchens[device.Tenant]
	if k == nil {
		k = &deviceKitchen{tenant: device.Tenant}
		d.kitchens[k.tenant] = k
	}
	e := &deviceEntry{id: device.ID, kitchen: k}
	d.all.push(e, ofAll)
	k.queue.push(e, ofKitchen)
	k.enter(e)
	if k.queue.n > realtime.MaxDevices {
		d.remove(k.queue.oldest)
	}
	if d.all.n > maxDevices {
		d.remove(d.all.oldest)
	}
	return e
}

// expire forgets the devices that were not heard of for realtime.DeviceMemory.
func (d *Devices) expire(now time.Time) {
	since := now.Add(-realtime.DeviceMemory).UnixMilli()
	for e := d.all.oldest; e != nil && e.heard < since; e = d.all.oldest {
		d.remove(e)
	}
}

func (d *Devices) remove(e *deviceEntry) {
	k := e.kitchen
	d.all.remove(e, ofAll)
	k.queue.remove(e, ofKitchen)
	delete(k.index, e.id)
	if k.queue.n == 0 {
		delete(d.kitchens, k.tenant)
	}
}

// find returns the entry of id, or nil.
func (k *deviceKitchen) find(id realtime.DeviceID) *deviceEntry {
	if k == nil {
		return nil
	}
	if k.index != nil {
		return k.index[id]
	}
	e := k.queue.newest
	for e != nil && e.id != id {
		e = e.places[ofKitchen].older
	}
	return e
}

// enter puts e, which is in the queue, into the index, if there has to be one.
func (k *deviceKitchen) enter(e *deviceEntry) {
	switch {
	case k.index != nil:
		k.index[e.id] = e
	case k.queue.n > walkable:
		k.index = make(map[realtime.DeviceID]*deviceEntry, 2*walkable)
		for e := k.queue.newest; e != nil; e = e.places[ofKitchen].older {
			k.index[e.id] = e
		}
	}
}

// deviceQueue is devices in the order in which they were heard of last.
type deviceQueue struct {
	newest, oldest *deviceEntry
	n              int
}

type devicePlace struct{ newer, older *deviceEntry }

// The queues that an entry is in.
const (
	ofAll = iota
	ofKitchen
)

// push makes e the newest.
func (q *deviceQueue) push(e *deviceEntry, place int) {
	e.places[place] = devicePlace{older: q.newest}
	if q.newest != nil {
		q.newest.places[place].newer = e
	} else {
		q.oldest = e
	}
	q.newest = e
	q.n++
}

func (q *deviceQueue) remove(e *deviceEntry, place int) {
	at := e.places[place]
	if at.newer != nil {
		at.newer.places[place].older = at.older
	} else {
		q.newest = at.older
	}
	if at.older != nil {
		at.older.places[place].newer = at.newer
	} else {
		q.oldest = at.newer
	}
	e.places[place] = devicePlace{}
	q.n--
}
