package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"kentongan/internal/nap"
	"kentongan/realtime"
	"kentongan/tenant"
)

// maxPage bounds what one read takes from Redis, which does nothing else meanwhile.
const maxPage = 1000

// pageBytes is from how many bytes of data on a page gets no more entries: enough for a thousand usual ones, and little enough that the
// pages of all replays that run at the same time are tens of megabytes.
const pageBytes = "524288"

// History implements realtime.Broker. It may return fewer publications than limit, with More set.
func (b *Broker) History(ctx context.Context, ch realtime.Channel, since realtime.Position, limit int) (realtime.Page, error) {
	doing := "history"
	if err := b.check(ctx, doing); err != nil {
		return realtime.Page{}, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	keys, args := b.readArgs(ch, since, limit)
	page, _, err := b.readPage(ch, since, readScript.Exec(ctx, b.ask, keys, args))
	return page, unavailable(doing, err)
}

func (b *Broker) readArgs(ch realtime.Channel, since realtime.Position, limit int) (keys, args []string) {
	after := ""
	if since != (realtime.Position{}) {
		after = strconv.FormatUint(since.Offset, 10)
	}
	keep := b.opts.Names.Retention(ch)
	return []string{b.keys.head(ch.Tenant), b.keys.stream(ch)}, []string{
		ch.Name, after, strconv.Itoa(min(max(limit, 0), maxPage)), strconv.Itoa(keep.Size),
		strconv.FormatInt(keep.Age.Milliseconds(), 10), b.newEpoch(), pageBytes,
	}
}

// readPage judges what the reading script answered, at ms by the clock of Redis.
func (b *Broker) readPage(
	ch realtime.Channel, since realtime.Position, r rueidis.RedisResult,
) (page realtime.Page, ms int64, err error) {
	answer, err := r.ToArray()
	if err != nil {
		return page, 0, err
	}
	if len(answer) != 5 {
		return page, 0, errAnswer(nil)
	}
	epoch, err1 := answer[0].ToString()
	head, err2 := answer[1].AsUint64()
	oldest, err3 := answer[2].AsUint64()
	entries, err4 := answer[3].AsBytes()
	ms, err5 := answer[4].AsInt64()
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return page, 0, err
	}
	page = realtime.Page{Head: realtime.Position{Epoch: epoch, Offset: head}}
	from, cause := realtime.Resume(since, page.Head, oldest, b.opts.Names.Retention(ch).Size > 0)
	if cause != "" {
		page.Gap = cause
		return page, ms, nil
	}
	page.Publications = make([]realtime.Publication, 0, countEntries(entries))
	for len(entries) > 0 {
		p, rest, err := cutEntry(entries)
		if err != nil {
			return page, 0, err
		}
		if p.Position.Offset != from {
			// Somebody else wrote to the stream. What follows cannot be trusted to be all.
			return realtime.Page{Head: page.Head, Gap: realtime.GapExpired}, ms, nil
		}
		p.Channel, p.Position.Epoch = ch, epoch
		page.Publications = append(page.Publications, p)
		entries = rest
		from++
	}
	page.More = from <= head
	return page, ms, nil
}

// entryHead is what the reading script puts before the data of an entry: offset, time in ms, length.
const entryHead = 8 + 8 + 4

var errEntry = errors.New("an entry of history breaks off")

// cutEntry takes the first entry off b. Its data is a part of b: a page is one allocation, and not one for each publication.
func cutEntry(b []byte) (p realtime.Publication, rest []byte, err error) {
	if len(b) < entryHead {
		return p, nil, errEntry
	}
	size := binary.BigEndian.Uint32(b[16:])
	ms := binary.BigEndian.Uint64(b[8:])
	if int64(size) > int64(len(b)-entryHead) || ms > math.MaxInt64 {
		return p, nil, errEntry
	}
	end := entryHead + int(size)
	p.Position.Offset, p.Time, p.Data = binary.BigEndian.Uint64(b), time.UnixMilli(int64(ms)), b[entryHead:end:end]
	return p, b[end:], nil
}

// countEntries returns how many entries there are in b.
func countEntries(b []byte) (n int) {
	for len(b) > 0 {
		_, rest, err := cutEntry(b)
		if err != nil {
			return n
		}
		b = rest
		n++
	}
	return n
}

// errAnswer is err, or that a script answers what it never does.
func errAnswer(err error) error {
	if err == nil {
		err = errors.New("the script answers something else")
	}
	return err
}

// parseHeads reads the fields of a head.
func parseHeads(fields map[string]string) (realtime.Heads, error) {
	h := realtime.Heads{Channels: map[string]realtime.Position{}, Fresh: realtime.Position{Epoch: fields["epoch"]}}
	if h.Fresh.Epoch == "" {
		return h, errors.New("a tenant without an epoch")
	}
	for field, value := range fields {
		name, ok := strings.CutPrefix(field, "o:")
		if !ok {
			continue
		}
		offset, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return h, fmt.Errorf("offset of %q: %w", name, err)
		}
		epoch := h.Fresh.Epoch
		if own, ok := fields["e:"+name]; ok {
			epoch = own
		}
		h.Channels[name] = realtime.Position{Epoch: epoch, Offset: offset}
	}
	return h, nil
}

// TurnEpoch implements realtime.EpochTurner.
func (b *Broker) TurnEpoch(ctx context.Context, ch realtime.Channel, cause realtime.GapCause) error {
	_, err := b.turn(ctx, ch, cause, realtime.Position{})
	return err
}

// turn gives ch a new epoch, but only if it is behind lost, unless that is zero. It returns the head afterwards.
func (b *Broker) turn(
	ctx context.Context, ch realtime.Channel, cause realtime.GapCause, lost realtime.Position,
) (realtime.Position, error) {
	doing := "turn epoch"
	if err := b.check(ctx, doing); err != nil {
		return realtime.Position{}, err
	}
	ctx, cancel := b.within(ctx)
	defer cancel()
	keys, args := b.turnArgs(ch, cause, lost, "")
	answer, err := turnScript.Exec(ctx, b.ask, keys, args).ToString()
	if err != nil {
		return realtime.Position{}, unavailable(doing, err)
	}
	head, err := parsePosition(answer)
	return head, unavailable(doing, err)
}

func (b *Broker) turnArgs(
	ch realtime.Channel, cause realtime.GapCause, lost realtime.Position, owed string,
) (keys, args []string) {
	head := b.keys.head(ch.Tenant)
	stream := head
	if ch.Name != "" {
		stream = b.keys.stream(ch)
	}
	return []string{head, stream}, []string{
		ch.Name, b.newEpoch(), b.keys.live(ch.Tenant), string(cause), lost.Epoch, strconv.FormatUint(lost.Offset, 10), owed,
	}
}

// turnPace is how long TurnAll rests after each page of about a hundred tenants: 35,000 tenants take seven seconds, so that their
// screens do not fetch everything anew in the same moment.
const turnPace = 20 * time.Millisecond

// TurnAll implements realtime.EpochTurner. It goes through the tenants with SCAN, which finds each that was there all the
// time.
func (b *Broker) TurnAll(ctx context.Context, cause realtime.GapCause) error {
	return b.turnAll(ctx, cause, "")
}

// turnAll turns all tenants for which owed is not paid yet; an empty one never is.
func (b *Broker) turnAll(ctx context.Context, cause realtime.GapCause, owed string) error {
	done := map[tenant.ID]bool{} // SCAN may show a key twice
	for cursor := uint64(0); ; {
		if err := b.check(ctx, "turn all epochs"); err != nil {
			return err
		}
		found, next, err := b.scanHeads(ctx, cursor)
		if err != nil {
			return unavailable("turn all epochs", err)
		}
		for _, t := range found {
			if done[t] {
				continue
			}
			done[t] = true
			if err := b.turnTenant(ctx, t, cause, owed); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		if len(found) > 0 {
			nap.For(ctx, turnPace)
		}
	}
}

func (b *Broker) turnTenant(ctx context.Context, t tenant.ID, cause realtime.GapCause, owed string) error {
	ctx, cancel := b.within(ctx)
	defer cancel()
	keys, args := b.turnArgs(realtime.Channel{Tenant: t}, cause, realtime.Position{}, owed)
	return unavailable("turn epoch", turnScript.Exec(ctx, b.ask, keys, args).Error())
}

func (b *Broker) scanHeads(ctx context.Context, cursor uint64) ([]tenant.ID, uint64, error) {
	ctx, cancel := b.within(ctx)
	defer cancel()
	entry, err := scanScript.Exec(ctx, b.ask, []string{b.keys.schema()},
		[]string{strconv.FormatUint(cursor, 10), b.keys.headGlob(), "1000"}).AsScanEntry()
	if err != nil {
		return nil, 0, err
	}
	var found []tenant.ID
	for _, key := range entry.Elements {
		if t, ok := b.keys.tenantOfHead(key); ok {
			found = append(found, t)
		}
	}
	return found, entry.Cursor, nil
}
