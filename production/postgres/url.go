package postgres

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// prismaOnly are parameters of a URL that Prisma takes out before it connects. pgx would send them to the server, which
// refuses what it does not know.
var prismaOnly = []string{
	"schema", "connection_limit", "pool_timeout", "socket_timeout", "pgbouncer", "statement_cache_size", "sslidentity", "sslpassword",
	"sslaccept", "max_idle_connection_lifetime", "max_connection_lifetime", "single_use_connections",
}

const writerConns = 1 + maxAlone // the lane, and commits that go alone

// forWriters returns the settings of connections that commits are made with. Their statements find rows by primary keys only, so
// one plan is good for ever; PostgreSQL would plan anew for each length of the arrays, which costs more than to write.
func forWriters(c *pgxpool.Config) *pgxpool.Config {
	c = c.Copy()
	c.MaxConns = writerConns
	params := c.ConnConfig.RuntimeParams
	params["plan_cache_mode"] = "force_generic_plan"
	params["lock_timeout"] = "100" // milliseconds; see lanes. A commit that goes alone takes it back
	params["enable_seqscan"], params["enable_hashjoin"], params["enable_mergejoin"] = "off", "off", "off"
	return c
}

// parseURL returns the pool's settings. Its errors have no password in them.
func parseURL(opts Options) (*pgxpool.Config, error) {
	address := opts.URL
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") {
		u, err := url.Parse(address)
		if err != nil {
			return nil, fmt.Errorf("database URL: %w", errURL) // url.Error quotes all of it
		}
		query := u.Query()
		for _, name := range prismaOnly {
			query.Del(name)
		}
		u.RawQuery = query.Encode()
		address = u.String()
	} else if !strings.Contains(address, "=") {
		return nil, fmt.Errorf("database URL: %w", errURL)
	}
	config, err := pgxpool.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	if config.ConnConfig.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return nil, errors.New("database URL: default_query_exec_mode=simple_protocol writes values into the text of commands; leave it " +
			"out, and put a pooler that is in front into session mode")
	}
	if opts.MaxConns < 1 || opts.MaxConns > 10_000 {
		return nil, fmt.Errorf("postgres: %d connections: want 1 to 10000", opts.MaxConns)
	}
	config.MaxConns = int32(opts.MaxConns)
	config.MinConns = 0
	config.MaxConnIdleTime = 5 * time.Minute
	config.MaxConnLifetime = time.Hour // connections find their way back after a failover, and old plans go
	config.MaxConnLifetimeJitter = 6 * time.Minute
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	params := config.ConnConfig.RuntimeParams
	ms := strconv.FormatInt(opts.Timeout.Milliseconds(), 10)
	for name, value := range map[string]string{
		"application_name": "kentongan",
		// The server ends what nobody waits for any more: a node that was cut off in a transaction keeps a kitchen locked.
		"statement_timeout":                   ms,
		"idle_in_transaction_session_timeout": ms,
	} {
		if _, set := params[name]; !set {
			params[name] = value
		}
	}
	return config, nil
}
