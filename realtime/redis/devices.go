package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/nap"
	"kentongan/realtime"
)

// Devices is the realtime.Devices over Redis. Events wait here until they are written, many devices in one batch: each record is
// read, changed by the rules of realtime.DeviceRecord, and written if nobody else has written it meanwhile.
type Devices struct {
	broker *Broker
	wake   chan struct{} // has something when an event should not wait

	mu      sync.Mutex
	waiting map[realtime.Device][]deviceEvent
	order   []realtime.Device // of waiting, the one that waits for the longest first
	dropped uint64            // events that were forgotten because too many devices waited
	spare   [][]deviceEvent   // memory of events that are written
}

// deviceEvent is an event and when it happened, by the clock of this process.
type deviceEvent struct {
	realtime.DeviceEvent
	at time.Time
}

const (
	// deviceWriteEvery is how long positions gather; what becomes of a connection is written at once.
	deviceWriteEvery = 500 * time.Millisecond
	deviceBatch      = 256
	// deviceGather is the shortest time from one batch to the next, so that a storm of connections is written in large ones.
	deviceGather = 20 * time.Millisecond
	// maxDevicesWaiting bounds what waits while Redis is out: more devices than a node has connections by default. Past it the
	// news that waited for the longest are forgotten, and their devices go on from an older position.
	maxDevicesWaiting = 100_000
	maxDeviceEvents   = 64 // that wait for one device
	// Memory of events is kept for maxSpares devices, if it has room for spareEvents or less: one MB at most.
	maxSpares, spareEvents = 4096, 4
)

func newDevices(b *Broker) *Devices {
	return &Devices{broker: b, wake: make(chan struct{}, 1), waiting: map[realtime.Device][]deviceEvent{}}
}

// Note implements realtime.Devices. Events are written while the Broker runs.
func (d *Devices) Note(device realtime.Device, event realtime.DeviceEvent) {
	d.mu.Lock()
	d.add(device, deviceEvent{event, time.Now()})
	d.mu.Unlock()
	if event.Kind != realtime.DeviceProved {
		select {
		case d.wake <- struct{}{}:
		default: // it is awake already
		}
	}
}

// add puts an event behind those that wait. Of the positions of one connection only the last is kept.
func (d *Devices) add(device realtime.Device, event deviceEvent) {
	events, known := d.waiting[device]
	if events == nil && len(d.spare) > 0 {
		events, d.spare = d.spare[len(d.spare)-1], d.spare[:len(d.spare)-1]
	}
	if !known {
		d.order = append(d.order, device)
		if len(d.order) > maxDevicesWaiting {
			delete(d.waiting, d.order[0])
			d.order = d.order[1:]
			d.dropped++
		}
	}
	for i, known := range slices.Backward(events) {
		if known.Connection != event.Connection {
			continue
		}
		if known.Kind == realtime.DeviceProved {
			events = append(events[:i], events[i+1:]...)
		}
		break
	}
	if len(events) >= maxDeviceEvents {
		events = events[1:]
		d.dropped++
	}
	d.waiting[device] = append(events, event)
}

// Positions implements realtime.Devices. What this node has not written yet counts.
func (d *Devices) Positions(ctx context.Context, device realtime.Device) (positions []string, known bool, err error) {
	b, doing := d.broker, "positions of a device"
	if err := b.check(ctx, doing); err != nil {
		return nil, false, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	c := b.ask.B()
	results := b.ask.DoMulti(ctx, c.Time().Build(), c.Get().Key(b.keys.device(device)).Build())
	ahead, err := clockAhead(results[0])
	if err != nil {
		return nil, false, unavailable(doing, err)
	}
	var record realtime.DeviceRecord
	_, known, err = readDevice(results[1], &record)
	if err != nil {
		return nil, false, unavailable(doing, err)
	}
	d.mu.Lock()
	events := append([]deviceEvent(nil), d.waiting[device]...)
	d.mu.Unlock()
	for _, e := range events {
		record.Apply(e.DeviceEvent, e.at.Add(ahead))
	}
	return record.Positions(time.Now().Add(ahead)), known || len(events) > 0, nil
}

// clockAhead reads the answer of TIME: how far the clock of Redis, which all nodes share, is ahead of ours.
func clockAhead(r rueidis.RedisResult) (time.Duration, error) {
	parts, err := r.AsIntSlice()
	if err != nil || len(parts) != 2 {
		return 0, fmt.Errorf("time with %d parts: %w", len(parts), err)
	}
	return time.Until(time.Unix(parts[0], parts[1]*1000)), nil
}

// readDevice makes record what is stored, and returns that; "" if nothing is. What cannot be read is a device that is not known.
func readDevice(r rueidis.RedisResult, record *realtime.DeviceRecord) (stored string, known bool, err error) {
	stored, err = r.ToString()
	if err != nil && !rueidis.IsRedisNil(err) {
		return "", false, err
	}
	return stored, record.Parse(stored) == nil, nil
}

// run writes what waits until ctx ends, and then the rest.
func (d *Devices) run(ctx context.Context) {
	fails := 0
	tick := time.NewTicker(deviceWriteEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-d.wake:
		case <-tick.C:
		case <-ctx.Done():
			continue
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = d.write(ctx); err != nil {
				d.broker.opts.Log.Debug("positions of devices not written", "err", inWords(err))
				nap.For(ctx, backoff(fails))
				fails++
				break
			}
			fails = 0
			nap.For(ctx, deviceGather)
		}
	}
	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	for fails := 0; ; fails++ { // the end of ctx may have broken off a dial that this waits for too
		more, err := d.write(leaving)
		switch {
		case err == nil && !more:
			return
		case leaving.Err() != nil:
			d.broker.opts.Log.Warn("positions of devices lost: they go on from older ones", "err", inWords(err))
			return
		case err != nil:
			nap.For(leaving, backoff(fails))
		}
	}
}

// take removes up to deviceBatch devices from what waits.
func (d *Devices) take() (devices []realtime.Device, events [][]deviceEvent) {
	d.mu.Lock()
	defer d.mu.Unlock()
	devices = append(devices, d.order[:min(deviceBatch, len(d.order))]...)
	for _, device := range devices {
		events = append(events, d.waiting[device])
		delete(d.waiting, device)
	}
	if d.order = d.order[len(devices):]; len(d.order) == 0 {
		d.order = nil
	}
	return devices, events
}

// putBack lets events wait again, before those that came meanwhile. d.mu is held.
func (d *Devices) putBack(device realtime.Device, events []deviceEvent) {
	newer := d.waiting[device]
	if len(newer) == 0 {
		d.add(device, events[0])
		events = events[1:]
	} else {
		d.waiting[device] = nil
	}
	for _, e := range append(events, newer...) {
		d.add(device, e)
	}
}

// write writes one batch, and reports whether there is more. A record that another node has written meanwhile waits
// for the next batch.
func (d *Devices) write(ctx context.Context) (more bool, err error) {
	devices, events := d.take()
	if len(devices) == 0 {
		return false, nil
	}
	written, err := d.writeBatch(ctx, devices, events)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, device := range devices {
		if !written[i] {
			d.putBack(device, events[i])
		} else if len(d.spare) < maxSpares && cap(events[i]) <= spareEvents {
			clear(events[i])
			d.spare = append(d.spare, events[i][:0])
		}
	}
	return len(d.order) > 0, err
}

func (d *Devices) writeBatch(ctx context.Context, devices []realtime.Device, events [][]deviceEvent) (written []bool, err error) {
	b := d.broker
	written = make([]bool, len(devices))
	ctx, cancel := b.within(ctx)
	defer cancel()
	c := b.ask.B()
	reads := append(make([]rueidis.Completed, 0, 1+len(devices)), c.Time().Build())
	spell := newSpelling(len(devices), deviceBytes)
	words := make([]string, 0, len(devices)*deviceWords)
	for _, device := range devices {
		key := spell.word(b.keys.appendDevice(spell.b, device))
		words = append(words, key)
		reads = append(reads, c.Get().Key(key).Build())
	}
	read := b.ask.DoMulti(ctx, reads...)
	ahead, err := clockAhead(read[0])
	if err != nil {
		return written, err
	}
	calls := make([]rueidis.LuaExec, len(devices))
	var record realtime.DeviceRecord
	for i := range devices {
		stored, _, err := readDevice(read[i+1], &record)
		if err != nil {
			return written, err
		}
		for _, e := range events[i] {
			record.Apply(e.DeviceEvent, e.at.Add(ahead))
		}
		key := words[i]
		prefix, name := key[:len(key)-deviceNameBytes], key[len(key)-deviceNameBytes:]
		at := len(words)
		words = append(words, key, prefix[:len(prefix)-1],
			stored, spell.word(record.Append(spell.b)), deviceMemory, name, deviceLimit, prefix)
		calls[i] = rueidis.LuaExec{Keys: words[at : at+2 : at+2], Args: words[at+2:]}
	}
	for i, r := range deviceScript.ExecMulti(ctx, b.ask, calls...) {
		n, failed := r.AsInt64()
		if failed != nil {
			err = failed
			continue
		}
		written[i] = n == 1
	}
	return written, err
}

// What one device takes: a key and a record, and words that name it once for reading, and in the call of the script.
const (
	deviceBytes = 256
	deviceWords = 1 + 8
)

var (
	deviceMemory = strconv.FormatInt(realtime.DeviceMemory.Milliseconds(), 10)
	deviceLimit  = strconv.Itoa(realtime.MaxDevices)
)
