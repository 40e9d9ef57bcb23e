package postgres

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A transaction that knows what it is based on is one statement: the heads of its tenants first, and everything else in the same WITH. That
// spares the database the beginning and the end of half a dozen statements, which is most of what small ones cost, and the round trip.
//
// The main query reads the heads, so they are locked and checked before anything else is written; then the batches, if there are updates of
// them. What is not read is written when the main query has ended. All of it sees the database as it was when the statement began, and what
// it updates is looked at again once it is locked: that is what the checks rely on.

// part is a sheet of such a statement, with its rows: headSheet first.
type part struct {
	*sheet
	rows [][]any
}

// wholes are the statements that were made so far, by which sheets they have. There are some dozens.
var wholes sync.Map

// whole returns a statement of parts, and its arguments. If it is of one commit, rows that are alone in their sheet are no arrays; groups
// have arrays only, so that there are not too many statements to prepare.
func whole(parts []part, one bool) (sql string, args []any) {
	var name strings.Builder
	several := make([]bool, len(parts))
	from := make([]int, len(parts)) // of the parameters of each part
	for i, p := range parts {
		several[i] = !one || len(p.rows) > 1
		from[i] = len(args)
		name.WriteString(p.name)
		if several[i] {
			name.WriteByte('+')
			args = append(args, p.arrays(p.rows)...)
		} else {
			name.WriteByte(' ')
			args = append(args, p.rows[0]...)
		}
	}
	if made, ok := wholes.Load(name.String()); ok {
		return made.(string), args //nolint:errcheck // it is what is stored below
	}
	var with []string
	checks := []string{headSheet.check(several[0])}
	for i, p := range parts {
		with = append(with, p.name+" AS ("+renumbered(p.of(several[i]), from[i])+")")
		if i > 0 && p.guard {
			checks = append(checks, "(SELECT "+renumbered(p.check(several[i]), from[i])+" FROM "+p.name+")")
		}
	}
	sql = "WITH " + strings.Join(with, ", ") + " SELECT " + strings.Join(checks, " * ") + answering + " FROM " + headSheet.name
	wholes.Store(name.String(), sql)
	return sql, args
}

// renumbered returns sql with its parameters counted from another number on.
func renumbered(sql string, from int) string {
	pieces := strings.Split(sql, "$")
	for i, piece := range pieces[1:] {
		digits := len(piece) - len(strings.TrimLeft(piece, "0123456789"))
		n, err := strconv.Atoi(piece[:digits])
		if err != nil {
			panic("postgres: a parameter without a number in " + sql)
		}
		pieces[i+1] = strconv.Itoa(n+from) + piece[digits:]
	}
	return strings.Join(pieces, "$")
}

// writeAll makes the transaction by one statement.
func (x *transaction) writeAll(ctx context.Context, c *conn) error {
	tenants, list := x.collect()
	if len(tenants) == 0 {
		return nil // every one has its err
	}
	parts := x.headParts(tenants)
	for _, s := range sheets {
		if mine := s.rows(list); len(mine) > 0 {
			parts = append(parts, part{s, mine})
		}
	}
	sql, args := whole(parts, len(x.writes) == 1)
	rows, err := c.Query(ctx, sql, args...)
	if err != nil {
		return err // it could not be prepared, so it was not run
	}
	_, err = pgx.CollectExactlyOneRow(rows, func(r pgx.CollectableRow) (struct{}, error) { return struct{}{}, x.moved(r) })
	if errors.As(err, new(*pgconn.PgError)) && rows.CommandTag().String() == "" {
		return err // it ended before its last word, after which the commit comes: or the server had ended the connection before the first
	}
	return written(err)
}
