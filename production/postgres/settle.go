package postgres

import (
	"context"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"kentongan/production/internal/hands"
	"kentongan/tenant"
)

// headSheet moves the heads of tenants. It is a sheet with a second table, of the positions that come with marks, and what it does for
// hands is this: If the newest event was published by who has the lease, that is marked. If nothing waits then, and nobody else has the
// lease, it goes to the owner of the row; if something waits that is on its way already, he may keep it. It answers whose lease is his.
//
// waiting is null of heads to which no event was added.
var headSheet = &sheet{
	name: "changed", guard: true,
	sql: `UPDATE kentongan.heads AS old SET
			moves = new.moves, event_seq = new.event_seq, audit_seq = new.audit_seq, audit_hash = new.audit_hash,
			sent_seq = CASE WHEN ` + isMarked + ` THEN old.event_seq ELSE old.sent_seq END,
			waiting = CASE WHEN NOT ` + isClean + ` THEN old.waiting WHEN new.event_seq > old.event_seq THEN new.waiting END,
			lease_owner = CASE WHEN ` + isTaken + ` THEN new.owner WHEN ` + isMarked + ` THEN NULL ELSE old.lease_owner END,
			lease_until = CASE WHEN ` + isTaken + ` OR ` + isKept + ` THEN statement_timestamp() + make_interval(secs => new.lease / 1000.0)
				WHEN ` + isMarked + ` THEN NULL ELSE old.lease_until END
		FROM ` + rowsOf + ` WHERE old.tenant = new.tenant AND old.moves = new.moves_base
			AND old.event_seq = new.event_base AND old.audit_seq = new.audit_base AND old.audit_hash = new.hash_base
		RETURNING old.tenant, old.sent_seq, new.event_seq > new.event_base AND old.lease_owner = new.owner
			AND old.lease_until > statement_timestamp() AND (new.keep OR old.sent_seq = new.event_base) AS ours`,
	columns: heads, key: 1,
}

// placedSheet writes the positions that come with marks.
var placedSheet = &sheet{
	name: "placed",
	sql: `INSERT INTO kentongan.positions (tenant, channel, epoch, "offset")
		SELECT new.tenant, new.channel, new.epoch, new.o
		FROM ` + rowsOf + ` JOIN changed AS c ON c.tenant = new.tenant AND c.sent_seq >= new.seq ` + placing,
	columns: []column{{"tenant", "text"}, {"channel", "text"}, {"epoch", "text"}, {"o", "bigint"}, {"seq", "bigint"}},
}

// answering is what is answered of headSheet behind its guard: whose lease is the owner's, and up to which event all of theirs is sent.
const answering = `, array_agg(tenant) FILTER (WHERE ours), array_agg(sent_seq) FILTER (WHERE ours)`

const (
	isHeld   = "(old.lease_owner = new.owner AND old.lease_until > statement_timestamp())"
	isMarked = "(new.mark AND " + isHeld + ")"
	isClean  = "(old.waiting IS NULL OR " + isMarked + ")"
	isFree   = "(old.lease_owner IS NULL OR old.lease_owner = new.owner OR old.lease_until <= statement_timestamp())"
	isTaken  = "(new.owner <> '' AND new.event_seq > old.event_seq AND " + isClean + " AND " + isFree + ")"
	isKept   = "(new.keep AND " + isHeld + ")"

	placing = `ON CONFLICT (tenant, channel) DO UPDATE SET (epoch, "offset") = (excluded.epoch, excluded."offset")`
)

var heads = []column{
	{"tenant", "text"}, {"moves", "bigint"}, {"event_seq", "bigint"}, {"audit_seq", "bigint"}, {"audit_hash", "bytea"},
	{"waiting", "bigint"}, {"moves_base", "bigint"}, {"event_base", "bigint"}, {"audit_base", "bigint"}, {"hash_base", "bytea"},
	{"owner", "text"}, {"lease", "bigint"}, {"keep", "boolean"}, {"mark", "boolean"},
}

// headParts returns what moves the heads of tenants, and settles what can be settled with that: the first parts of a statement.
func (x *transaction) headParts(tenants []tenant.ID) []part {
	moved, placed := part{sheet: headSheet}, part{sheet: placedSheet}
	for _, t := range tenants {
		h := x.heads[t]
		wish := x.handing.Of(t, h.base.event)
		if wish.Mark != nil {
			for _, at := range wish.Mark.Places {
				placed.rows = append(placed.rows, []any{
					string(t), at.Channel, at.Epoch, int64(at.Offset), wish.Mark.Seq, //nolint:gosec // its bits; scanSent has the way back
				})
			}
		}
		moved.rows = append(moved.rows, []any{
			string(t), h.moves, h.event, h.audit, h.hash[:], h.waiting, h.base.moves, h.base.event, h.base.audit, h.base.hash,
			wish.Owner, wish.Lease.Milliseconds(), wish.Keep, wish.Mark != nil,
		})
	}
	if len(placed.rows) == 0 {
		return []part{moved}
	}
	return []part{moved, placed}
}

// moved takes in what a statement has answered that moved heads.
func (x *transaction) moved(r pgx.Row) error {
	var one int
	var ours []string
	var sent []int64
	if err := r.Scan(&one, &ours, &sent); err != nil {
		return err
	}
	x.handing.Again() // the statement may be the second one
	for i, t := range ours {
		x.handing.Got(tenant.ID(t), sent[i])
	}
	return nil
}

// places are rows of positions, with the number of the event that has to be marked for them.
type places struct {
	tenants, channels, epochs []string
	offsets, seqs             []int64
}

func (p *places) add(t tenant.ID, it *hands.Settled) {
	for _, at := range it.Places {
		p.tenants, p.channels, p.epochs = append(p.tenants, string(t)), append(p.channels, at.Channel), append(p.epochs, at.Epoch)
		p.offsets = append(p.offsets, int64(at.Offset)) //nolint:gosec // its bits; scanSent has the way back
		p.seqs = append(p.seqs, it.Seq)
	}
}

func (p *places) args() []any { return []any{p.tenants, p.channels, p.epochs, p.offsets, p.seqs} }

// settling marks what was published and gives back leases, in one statement. It tells whether that leaves events that wait.
const settling = `WITH marked AS (UPDATE kentongan.heads AS h SET lease_owner = NULL, lease_until = NULL,
		sent_seq = greatest(h.sent_seq, m.seq),
		waiting = CASE WHEN h.event_seq > greatest(h.sent_seq, m.seq) THEN coalesce(
			(SELECT at FROM kentongan.events AS e WHERE e.tenant = h.tenant AND e.seq = greatest(h.sent_seq, m.seq) + 1),
			(extract(epoch FROM clock_timestamp()) * 1000)::bigint) END
		FROM unnest($1::text[], $2::bigint[]) AS m (tenant, seq)
		WHERE h.tenant = m.tenant AND h.lease_owner = $3 AND h.lease_until > clock_timestamp() AND h.event_seq >= m.seq
		RETURNING h.tenant, m.seq, h.waiting IS NOT NULL AS waits, ` + relaxed + `), placed AS (
	INSERT INTO kentongan.positions (tenant, channel, epoch, "offset")
		SELECT c.tenant, p.channel, p.epoch, p.o
		FROM unnest($4::text[], $5::text[], $6::text[], $7::bigint[], $8::bigint[]) AS p (tenant, channel, epoch, o, seq)
		JOIN marked AS c ON c.tenant = p.tenant AND c.seq >= p.seq ` + placing + `)
	SELECT coalesce(bool_or(waits), false) FROM marked`

// settle settles all that is ripe. What cannot be written is tried again until the lease has ended by itself.
func (s *Store) settle(ctx context.Context) {
	list, owner := s.hands.Ripened()
	if len(list) == 0 {
		return
	}
	var tenants []string
	var seqs []int64
	var placed places
	for _, t := range slices.Sorted(maps.Keys(list)) { // in which rows are locked: no two nodes wait for each other
		it := list[t]
		tenants, seqs = append(tenants, string(t)), append(seqs, it.Seq)
		placed.add(t, it)
	}
	var waits bool
	err := s.callFor(ctx, s.writers, s.timeout, "marks", func(ctx context.Context, c *conn) error {
		return c.QueryRow(ctx, settling, append([]any{tenants, seqs, owner}, placed.args()...)...).Scan(&waits)
	})
	if err != nil {
		s.hands.Unsettled(list)
		s.log.WarnContext(ctx, "marks of events are not written, they are tried again", "tenants", len(list), "err", err)
		return
	}
	if waits {
		s.committed()
	}
}
