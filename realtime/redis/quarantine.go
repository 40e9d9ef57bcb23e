package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/redis/rueidis"

	"kentongan/realtime"
	"kentongan/tenant"
)

var (
	//go:embed hold.lua
	holdSource string
	//go:embed unhold.lua
	unholdSource string

	holdScript   = placed(holdSource)
	unholdScript = placed(unholdSource)
)

// Quarantine is the realtime.Quarantine over Redis: a stream for each tenant, which all nodes share, and a list of the tenants.
type Quarantine struct{ broker *Broker }

var _ realtime.Quarantine = (*Quarantine)(nil)

// Quarantine returns the quarantine of this engine.
func (b *Broker) Quarantine() *Quarantine { return &Quarantine{b} }

func (k keys) held(t tenant.ID) string      { return string(k) + tag(t) + ":held" }
func (k keys) heldBytes(t tenant.ID) string { return string(k) + tag(t) + ":held:bytes" }
func (k keys) heldTenants() string          { return string(k) + "held" }

// member spells a tenant in the list of them.
func member(t tenant.ID) string {
	if t == tenant.Global {
		return globalTag
	}
	return string(t)
}

// Hold implements realtime.Quarantine.
func (q *Quarantine) Hold(ctx context.Context, h *realtime.Held) error {
	const doing = "hold in quarantine"
	b := q.broker
	if err := b.check(ctx, doing); err != nil {
		return err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	if h.Bytes = len(h.Data); h.Bytes > realtime.MaxHeldBytes {
		h.Data = nil
	}
	t := h.Channel.Tenant
	kept := "1"
	if h.Data == nil {
		kept = "0"
	}
	id, err := holdScript.Exec(ctx, b.ask, []string{b.keys.held(t), b.keys.heldBytes(t)}, []string{
		strconv.Itoa(realtime.MaxHeld), strconv.Itoa(realtime.MaxHeldTotal), strconv.FormatInt(realtime.HeldAge.Milliseconds(), 10),
		strconv.Itoa(len(h.Data)), "channel", h.Channel.Name, "door", h.Door, "reason", h.Reason, "bytes", strconv.Itoa(h.Bytes),
		"kept", kept, "data", rueidis.BinaryString(h.Data),
	}).ToString()
	if err != nil {
		return unavailable(doing, err)
	}
	at, err := streamTime(id)
	if err != nil {
		return unavailable(doing, err)
	}
	h.ID, h.Time = id, at
	return unavailable(doing, q.enter(ctx, t, at))
}

// enter puts t into the list of tenants, and forgets those that are too many.
func (q *Quarantine) enter(ctx context.Context, t tenant.ID, at time.Time) error {
	b := q.broker
	c := b.ask.B()
	if err := b.ask.Do(ctx, c.Zadd().Key(b.keys.heldTenants()).ScoreMember().
		ScoreMember(float64(at.UnixMilli()), member(t)).Build()).Error(); err != nil {
		return err
	}
	n, err := b.ask.Do(ctx, b.ask.B().Zcard().Key(b.keys.heldTenants()).Build()).AsInt64()
	if err != nil || n <= realtime.MaxHeldTenants {
		return err
	}
	gone, err := b.ask.Do(ctx, b.ask.B().Zpopmin().Key(b.keys.heldTenants()).Count(n-realtime.MaxHeldTenants).Build()).AsZScores()
	if err != nil {
		return err
	}
	for _, g := range gone {
		if other, ok := tenantOfMember(g.Member); ok {
			err = errors.Join(err, b.ask.Do(ctx, b.ask.B().Unlink().Key(b.keys.held(other), b.keys.heldBytes(other)).Build()).Error())
		}
	}
	return err
}

func tenantOfMember(s string) (tenant.ID, bool) {
	if s == globalTag {
		return tenant.Global, true
	}
	return tenant.ID(s), tenant.Valid(s)
}

// Tenants implements realtime.Quarantine.
func (q *Quarantine) Tenants(ctx context.Context) ([]tenant.ID, error) {
	const doing = "list tenants of quarantine"
	b := q.broker
	if err := b.check(ctx, doing); err != nil {
		return nil, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	oldest := strconv.FormatInt(time.Now().Add(-realtime.HeldAge).UnixMilli(), 10) // what was there has expired
	members, err := b.ask.Do(ctx, b.ask.B().Zrevrangebyscore().Key(b.keys.heldTenants()).Max("+inf").Min(oldest).Build()).AsStrSlice()
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var tenants []tenant.ID
	for _, m := range members {
		if t, ok := tenantOfMember(m); ok {
			tenants = append(tenants, t)
		}
	}
	return tenants, nil
}

// List implements realtime.Quarantine.
func (q *Quarantine) List(ctx context.Context, t tenant.ID, limit int) ([]realtime.Held, error) {
	if limit <= 0 {
		return nil, nil
	}
	list, err := q.read(ctx, "list quarantine", t, "+", "-", min(limit, realtime.MaxHeld))
	for i := range list {
		list[i].Data = nil
	}
	return list, err
}

// Find implements realtime.Quarantine.
func (q *Quarantine) Find(ctx context.Context, t tenant.ID, id string) (realtime.Held, error) {
	if !streamID.MatchString(id) {
		return realtime.Held{}, realtime.ErrNotHeld
	}
	list, err := q.read(ctx, "read quarantine", t, id, id, 1)
	if err == nil && len(list) == 0 {
		err = realtime.ErrNotHeld
	}
	if err != nil {
		return realtime.Held{}, err
	}
	return list[0], nil
}

// read returns entries from one id down to another.
func (q *Quarantine) read(ctx context.Context, doing string, t tenant.ID, from, to string, limit int) ([]realtime.Held, error) {
	b := q.broker
	if err := b.check(ctx, doing); err != nil {
		return nil, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	entries, err := b.ask.Do(ctx, b.ask.B().Xrevrange().Key(b.keys.held(t)).End(from).Start(to).Count(int64(limit)).Build()).AsXRange()
	if err != nil {
		return nil, unavailable(doing, err)
	}
	var list []realtime.Held
	oldest := time.Now().Add(-realtime.HeldAge)
	for _, e := range entries {
		at, err := streamTime(e.ID)
		if err != nil || at.Before(oldest) {
			continue
		}
		f := e.FieldValues
		size, _ := strconv.Atoi(f["bytes"]) // 0 for what somebody else put there
		h := realtime.Held{
			ID: e.ID, Channel: realtime.Channel{Tenant: t, Name: f["channel"]}, Time: at, Door: f["door"], Reason: f["reason"], Bytes: size,
		}
		if f["kept"] == "1" {
			h.Data = []byte(f["data"])
		}
		list = append(list, h)
	}
	return list, nil
}

// Drop implements realtime.Quarantine.
func (q *Quarantine) Drop(ctx context.Context, t tenant.ID, ids ...string) (int, error) {
	const doing = "drop from quarantine"
	var known []string
	for _, id := range ids {
		if streamID.MatchString(id) {
			known = append(known, id)
		}
	}
	if len(known) == 0 {
		return 0, nil
	}
	b := q.broker
	if err := b.check(ctx, doing); err != nil {
		return 0, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	counts, err := unholdScript.Exec(ctx, b.ask, []string{b.keys.held(t), b.keys.heldBytes(t)}, known).AsIntSlice()
	if err != nil {
		return 0, unavailable(doing, err)
	}
	if len(counts) != 2 {
		return 0, unavailable(doing, errors.New("the answer is too short"))
	}
	if counts[1] == 0 {
		err = b.ask.Do(ctx, b.ask.B().Zrem().Key(b.keys.heldTenants()).Member(member(t)).Build()).Error()
	}
	return int(counts[0]), unavailable(doing, err)
}

var streamID = regexp.MustCompile(`^\d{1,19}-\d{1,19}$`)

// streamTime reads the time out of the id of an entry.
func streamTime(id string) (time.Time, error) {
	if !streamID.MatchString(id) {
		return time.Time{}, fmt.Errorf("%q is no id of an entry", id)
	}
	digits := id
	for i := range len(id) {
		if id[i] == '-' {
			digits = id[:i]
		}
	}
	ms, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("id of an entry: %w", err)
	}
	return time.UnixMilli(ms).UTC(), nil
}
