package redis

import (
	"context"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// usageExpiry is how long a node counts that does not report any more: some reports that are late, and short enough that who was killed
// takes nothing from others for long.
const usageExpiry = 10 * time.Second

// Usage tells nodes what the others give to whom, so that limits can hold for all of them together. Each node has a field of one hash,
// which it writes now and then; the clocks of nodes are not compared. It is for one goroutine.
type Usage struct {
	broker  *Broker
	field   string
	reports uint64
	heard   map[string]heardUsage // by field
	now     func() time.Time
}

// heardUsage is when a node's report was last another one.
type heardUsage struct {
	report string
	at     time.Time
}

// Usage returns this node's.
func (b *Broker) Usage() *Usage {
	return &Usage{broker: b, field: hex.EncodeToString(b.node[:]), heard: map[string]heardUsage{}, now: time.Now}
}

// Exchange writes what this node reports, and returns what the other nodes have reported within the last ten seconds, in no order. The
// error is ErrUnavailable.
func (u *Usage) Exchange(ctx context.Context, report []byte) (others [][]byte, err error) {
	doing := "exchange usage"
	if err := u.broker.check(ctx, doing); err != nil {
		return nil, err
	}
	u.reports++
	mine := strconv.FormatUint(u.reports, 10) + ":" + string(report)
	ctx, cancel := u.broker.within(ctx)
	defer cancel()
	c, key := u.broker.ask.B(), u.broker.keys.usage()
	results := u.broker.ask.DoMulti(ctx,
		c.Hset().Key(key).FieldValue().FieldValue(u.field, mine).Build(),
		c.Expire().Key(key).Seconds(int64(usageExpiry/time.Second)).Build(),
		c.Hgetall().Key(key).Build(),
	)
	for _, r := range results {
		if err := r.Error(); err != nil {
			return nil, unavailable(doing, err)
		}
	}
	found, err := results[2].AsStrMap()
	if err != nil {
		return nil, unavailable(doing, err)
	}
	others, gone := u.take(found)
	if len(gone) > 0 {
		// Whoever it was writes its field anew with the next report.
		if err := u.broker.ask.Do(ctx, c.Hdel().Key(key).Field(gone...).Build()).Error(); err != nil {
			return nil, unavailable(doing, err)
		}
	}
	return others, nil
}

// take notes what was found, and returns the reports that count, and the fields that nobody writes any more.
func (u *Usage) take(found map[string]string) (others [][]byte, gone []string) {
	now := u.now()
	for field := range u.heard {
		if _, there := found[field]; !there {
			delete(u.heard, field)
		}
	}
	for field, text := range found {
		number, report, ok := strings.Cut(text, ":")
		if field == u.field || !ok {
			continue
		}
		h := u.heard[field]
		if h.report != number {
			h = heardUsage{number, now}
			u.heard[field] = h
		}
		if now.Sub(h.at) >= usageExpiry {
			gone = append(gone, field)
			continue
		}
		others = append(others, []byte(report))
	}
	return others, gone
}

// Leave takes this node's report away. An error means that it counts for some seconds more.
func (u *Usage) Leave(ctx context.Context) error {
	ctx, cancel := u.broker.within(ctx)
	defer cancel()
	cmd := u.broker.ask.B().Hdel().Key(u.broker.keys.usage()).Field(u.field).Build()
	return unavailable("leave usage", u.broker.ask.Do(ctx, cmd).Error())
}
