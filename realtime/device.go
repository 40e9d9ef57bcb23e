package realtime

import (
	"context"
	"time"

	"kentongan/tenant"
)

// DeviceID names one browser of somebody who never said where he was: 128 bits of chance that say nothing about him.
type DeviceID [16]byte

// Device is one browser as one kitchen knows it. The tenant is a field: what a browser had of one kitchen is nothing to another.
type Device struct {
	Tenant tenant.ID
	ID     DeviceID
}

// DeviceEvent is something that became known of one connection of a device.
type DeviceEvent struct {
	Kind       DeviceEventKind
	Connection uint64 // a number that this connection alone has, on all nodes

	// Position is what the connection has for certain, as an opaque word of at most [MaxDevicePosition] bytes that says the
	// positions of all its channels. DeviceLeft has none.
	Position string

	// Silent is how long before the event the last sign of life came. Who came since then may have come in place of this
	// connection: the end of a line is noticed late.
	Silent time.Duration
}

// MaxDevicePosition is the longest position that is remembered, which is the longest cursor that is read.
const MaxDevicePosition = 8 << 10

// DeviceEventKind says what became known.
type DeviceEventKind uint8

// The kinds of events. Each may be told again, and tells the newest position.
const (
	DeviceArrived DeviceEventKind = iota + 1 // the connection is open, and is sent everything after Position
	DeviceProved                             // it has everything up to Position; also told again and again by those that live on
	DeviceLost                               // its line is lost, or it was sent away: its page will come back
	DeviceLeft                               // the page closed it: nobody comes back for it
)

// Devices remembers how far the connections of a device have come, for clients that cannot say it themselves. All nodes that share an
// engine share it. brokertest has what every Devices must pass. All methods may be called concurrently.
//
// It promises at least once: a connection that goes on from the oldest of [Devices.Positions] has no hole, and may have doubles.
// DeviceRecord has the rules.
type Devices interface {
	// Positions returns where the connections of d stand that are lost, or may be lost without anybody having noticed: each
	// that is not known to have left. known says whether d was seen within [DeviceMemory]. Nothing changes by asking.
	// ErrUnavailable if the engine is out.
	Positions(ctx context.Context, d Device) (positions []string, known bool, err error)

	// Note remembers e. It never blocks and does no I/O; other nodes learn of it within a second, and at once of DeviceLost. If
	// the engine is out it is remembered later. Only what came last counts of several positions of one connection.
	Note(d Device, e DeviceEvent)
}

// What Devices remembers, and for how long.
const (
	// DeviceMemory is how long a device is remembered after its last event: from Friday evening to Monday morning, so
	// that a screen that was switched off over a weekend is told the truth. Most histories are shorter (24 h); then it is told a gap.
	DeviceMemory = 72 * time.Hour

	// DeviceRefresh is how often a connection that lives must be told of, with DeviceProved. One of which nothing was heard for two and
	// a half times as long is taken for lost: its node was killed.
	DeviceRefresh = 2 * time.Minute

	deviceStale = 5 * time.Minute

	// deviceGrace is how long what was lost is still kept when as many have come back as were lost: one of them may have been a
	// new page, while an old one still waits for its turn. Retries of pages wait 30 s at most, as a rule.
	deviceGrace = 30 * time.Second

	// devicePatience is how long it is kept for the others, once the first has come back. Background tabs are let run once a
	// minute, and frozen ones not at all.
	devicePatience = 15 * time.Minute

	// MaxDevices is how many devices of one kitchen are remembered. The one that was not heard of for the longest is forgotten first. A
	// kitchen has dozens; clients that keep no cookies make a new one each time.
	MaxDevices = 4096

	// maxDeviceConnections and maxDeviceArrivals bound the record of one device: nobody has more tabs of a kitchen open.
	maxDeviceConnections = 16
	maxDeviceArrivals    = 16
)
