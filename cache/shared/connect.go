package shared

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// connection is one job's way to Redis. It connects when it is first used, and again by itself.
type connection struct {
	option rueidis.ClientOption
	single bool

	lock   chan struct{} // holds the right to make the client; a channel, so that who waits for it can give up
	client atomic.Pointer[rueidis.Client]
	closed atomic.Bool
	next   time.Time // of the next try; guarded by lock
	err    error     // of the last
}

var errClosed = errors.New("cache connection is closed")

// storeless is a client-side store of rueidis that keeps nothing: what is kept is decoded, and kept by package cache.
type storeless struct{}

func (storeless) Flight(string, string, time.Duration, time.Time) (v rueidis.RedisMessage, e rueidis.CacheEntry) {
	return v, nil
}
func (storeless) Update(string, string, rueidis.RedisMessage) int64 { return 0 }
func (storeless) Cancel(string, string, error)                      {}
func (storeless) Delete([]rueidis.RedisMessage)                     {}
func (storeless) Close(error)                                       {}

func newConnection(o *Options, job string, changed func([]rueidis.RedisMessage)) *connection {
	c := &connection{lock: make(chan struct{}, 1), single: !o.Cluster && len(o.Sentinels) == 0}
	c.option = rueidis.ClientOption{
		InitAddress: []string{o.Address}, Username: o.Username, Password: o.Password, SelectDB: o.DB, TLSConfig: o.TLS,
		ClientName: "kentongan-cache-" + job, ClientSetInfo: rueidis.DisableClientSetInfo,
		// KeepAlive is also how often rueidis pings. A connection that listens is an ordinary one to Redis, which closes those that
		// are silent for its "timeout"; the app's is 300 s.
		Dialer:           net.Dialer{Timeout: o.ConnectTimeout, KeepAlive: time.Second},
		ConnWriteTimeout: o.CommandTimeout, PipelineMultiplex: -1, ForceSingleClient: c.single, DisableCache: changed == nil,
		ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
		RetryDelay: func(attempts int, _ rueidis.Completed, _ error) time.Duration {
			if attempts >= o.Retries {
				return -1
			}
			return time.Duration(attempts) * 50 * time.Millisecond
		},
	}
	if o.Cluster {
		c.option.InitAddress = strings.Split(o.Address, ",")
	}
	if len(o.Sentinels) > 0 {
		c.option.InitAddress = o.Sentinels
		c.option.Sentinel = rueidis.SentinelOption{
			MasterSet: o.SentinelName, Username: o.SentinelUsername, Password: o.SentinelPassword, TLSConfig: o.SentinelTLS,
		}
	}
	if changed != nil {
		c.option.OnInvalidations = changed
		c.option.NewCacheStoreFn = func(rueidis.CacheStoreOption) rueidis.CacheStore { return storeless{} }
		c.option.ClientTrackingOptions = []string{"BCAST"}
		for _, p := range o.Prefixes {
			c.option.ClientTrackingOptions = append(c.option.ClientTrackingOptions, "PREFIX", p)
		}
	}
	if c.single {
		c.option.DialCtxFn = c.dial(o)
	}
	return c
}

// dial connects to the one Redis. rueidis tries at once when a client is made; that one is refused, for nobody has asked for anything.
func (c *connection) dial(o *Options) func(context.Context, string, *net.Dialer, *tls.Config) (net.Conn, error) {
	return func(ctx context.Context, _ string, d *net.Dialer, t *tls.Config) (net.Conn, error) {
		if c.client.Load() == nil || c.closed.Load() {
			return nil, errClosed
		}
		ctx, cancel := context.WithTimeout(ctx, o.ConnectTimeout)
		defer cancel()
		if t != nil {
			return (&tls.Dialer{NetDialer: d, Config: t}).DialContext(ctx, o.Network, o.Address)
		}
		return d.DialContext(ctx, o.Network, o.Address)
	}
}

// get returns the client.
func (c *connection) get(ctx context.Context) (rueidis.Client, error) {
	if p := c.client.Load(); p != nil {
		return *p, nil
	}
	select {
	case c.lock <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.lock }()
	if p := c.client.Load(); p != nil {
		return *p, nil
	}
	if c.closed.Load() {
		return nil, errClosed
	}
	if time.Now().Before(c.next) {
		return nil, c.err
	}
	client, err := rueidis.NewClient(c.option)
	if client == nil || err != nil && !c.single {
		if client != nil {
			client.Close()
		}
		c.next, c.err = time.Now().Add(250*time.Millisecond), err
		return nil, err
	}
	c.client.Store(&client)
	return client, nil
}

func (c *connection) close() {
	c.lock <- struct{}{}
	defer func() { <-c.lock }()
	c.closed.Store(true)
	if p := c.client.Load(); p != nil {
		(*p).Close()
	}
}

// script is a Lua script that Redis knows by its digest, once it has seen it.
type script struct{ text, sha string }
