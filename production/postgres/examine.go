package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// Examination is what a look at a database has found.
type Examination struct {
	Server         string // its version: "15.14"
	Number         int    // the same as PostgreSQL counts: 150014
	Version, Known int    // of the schema, and the newest that this program knows; 0: there is none yet
	ReadOnly       bool   // a standby, or a session that may not write
	MayCreate      bool   // this user may make the schema
	FsyncOff       bool   // what is committed may be lost with the machine

	RoundTrip time.Duration // half of some questions took no longer
	Skew      time.Duration // how far its clock is ahead of ours; half a round trip more or less

	Connections, MaxConnections int // open now, and how many may be
}

// Examine connects to the database and looks at it without changing it. The error says why that was not possible; it has no password in it.
func Examine(ctx context.Context, opts Options) (e Examination, err error) {
	if opts.MaxConns == 0 {
		opts.MaxConns = 1
	}
	if opts.Timeout == 0 {
		opts.Timeout = 10 * time.Second
	}
	config, err := parseURL(opts)
	if err != nil {
		return e, err
	}
	ctx, cancel := context.WithTimeout(ctx, opts.Timeout)
	defer cancel()
	c, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return e, fmt.Errorf("examine postgres: %w", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }() // nothing was written
	e.Known = len(migrations())
	if err := e.look(ctx, c); err != nil {
		return e, fmt.Errorf("examine postgres: %w", err)
	}
	if e.Version, err = schemaVersion(ctx, c); err != nil {
		return e, fmt.Errorf("examine postgres: %w", err)
	}
	return e, nil
}

func (e *Examination) look(ctx context.Context, c *pgx.Conn) error {
	const ask = `SELECT current_setting('server_version'), current_setting('server_version_num')::int,
		pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
		has_database_privilege(current_database(), 'CREATE'),
		current_setting('fsync') = 'off' OR current_setting('synchronous_commit') = 'off',
		(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int, current_setting('max_connections')::int`
	if err := c.QueryRow(ctx, ask).Scan(&e.Server, &e.Number, &e.ReadOnly, &e.MayCreate, &e.FsyncOff, &e.Connections,
		&e.MaxConnections); err != nil {
		return err
	}
	const rounds = 11
	took := make([]time.Duration, 0, rounds)
	for range rounds {
		var at time.Time
		began := time.Now()
		if err := c.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at); err != nil {
			return err
		}
		d := time.Since(began)
		if len(took) == 0 || d < slices.Min(took) {
			e.Skew = at.Sub(began.Add(d / 2).Round(0))
		}
		took = append(took, d)
	}
	slices.Sort(took)
	e.RoundTrip = took[len(took)/2]
	return nil
}
