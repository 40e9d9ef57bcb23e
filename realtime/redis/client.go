package redis

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

// client is one rueidis connection with our way to dial.
type client struct {
	rueidis.Client
	dialer *dialer
}

// newClient returns a client that connects when it is first used. A connection of it that is not answered for so long ends; zero: for
// ever, because it has commands that wait.
func newClient(o *Options, name string, answer time.Duration) (*client, error) {
	c := &client{dialer: newDialer(o, name, answer)}
	var made atomic.Bool
	option := rueidis.ClientOption{
		InitAddress: []string{o.Address}, Username: o.Username, Password: o.Password, SelectDB: o.DB,
		ClientName: "kentongan-" + name, ClientSetInfo: rueidis.DisableClientSetInfo,
		Dialer:            net.Dialer{Timeout: o.ConnectTimeout, KeepAlive: time.Second}, // KeepAlive is also how often it pings
		ConnWriteTimeout:  o.CommandTimeout,
		ForceSingleClient: true, PipelineMultiplex: -1, AlwaysPipelining: true, DisableCache: true, DisableRetry: true,
		ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
		DialCtxFn: func(ctx context.Context, _ string, _ *net.Dialer, _ *tls.Config) (net.Conn, error) {
			if !made.Load() {
				return nil, errStopped // rueidis tries at once, before anybody asked for anything
			}
			conn, err := c.dialer.dial(ctx)
			if err != nil {
				return nil, err // and no conn that is not nil
			}
			return conn, nil
		},
	}
	inner, err := rueidis.NewClient(option)
	made.Store(true)
	if inner == nil {
		return nil, fmt.Errorf("redis client: %w", err)
	}
	c.Client = inner
	return c, nil
}

// Do implements rueidis.Client.
func (c *client) Do(ctx context.Context, command rueidis.Completed) rueidis.RedisResult {
	r := c.Client.Do(ctx, command)
	c.heed(r)
	return r
}

// DoMulti implements rueidis.Client.
func (c *client) DoMulti(ctx context.Context, commands ...rueidis.Completed) []rueidis.RedisResult {
	all := c.Client.DoMulti(ctx, commands...)
	c.heed(all...)
	return all
}

// heed gives the connections up when one of the answers is that the slot is at another node, and has that looked for.
func (c *client) heed(all ...rueidis.RedisResult) {
	if len(c.dialer.opts.Cluster) == 0 {
		return
	}
	for _, r := range all {
		if err := r.Error(); err != nil {
			if moved, why := elsewhere(err); moved {
				c.dialer.opts.Primary.seek()
				c.dialer.drop(why)
				return
			}
		}
	}
}

func (c *client) close() {
	c.dialer.closeAll()
	c.Close()
}

// unavailable wraps err, if there is one, so that it is an ErrUnavailable too.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", doing, realtime.ErrUnavailable, inWords(err))
}
