package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The form in which data are kept in Redis, and in which nodes speak there. It is written down in Redis itself, by whoever comes first.
//
// A new minor number says that something was added which older programs pass over: both run side by side. A new major number says that
// an older program would misread or spoil something: it refuses to connect, and those that run give their connections up. A newer program
// reads what an older one has written, whatever its number; testdata/schema-*.txt are what each major number looked like.
const (
	schemaMajor = 1
	schemaMinor = 1 // copies of the kind copyTrace
)

// errNewer is wrapped by errors that say that the data are of a newer program.
var errNewer = errors.New("a newer program is needed")

// checkSchema returns an error if this program must not touch data of a schema as it is written down. Nothing written is older than
// everything.
func checkSchema(written string) error {
	if written == "" {
		return nil
	}
	major, minor, ok := strings.Cut(written, ".")
	n, err1 := strconv.ParseUint(major, 10, 31)
	_, err2 := strconv.ParseUint(minor, 10, 31)
	switch {
	case !ok || err1 != nil || err2 != nil:
		return fmt.Errorf("its data have the schema %.40q, which is none; another program writes here: %w", written, errNewer)
	case n > schemaMajor:
		return fmt.Errorf("its data have schema %.40s, and this program knows %d.%d: start the newer program, or give this one a Redis "+
			"of its own: %w", written, schemaMajor, schemaMinor, errNewer)
	}
	return nil
}

// schemaEvery is how often a node looks whether a newer program has come; as often, a Redis that was emptied is given its schema again.
const schemaEvery = time.Second

// keepSchema writes the schema down, and gives all connections up when that of a newer program is found. Whoever connects again is refused
// then, see greet, until ctx ends. It also finds out whether the slot of a Cluster is where it should be: on a quiet day nobody else does.
func (b *Broker) keepSchema(ctx context.Context) {
	for said := ""; ; {
		written, err := schemaScript.Exec(ctx, b.ask, []string{b.keys.schema()},
			[]string{strconv.Itoa(schemaMajor), strconv.Itoa(schemaMinor)}).ToString()
		_, why := elsewhere(err)
		b.health.set(partSlot, why)
		if err == nil {
			if err = checkSchema(written); err != nil {
				if said != written {
					b.opts.Log.Error("the data in redis are of a newer program", "err", err) // until a person has started that one
					said = written
				}
				b.opts.Primary.endAll(err)
			}
		}
		if !b.opts.Primary.pause(ctx, schemaEvery) {
			return
		}
	}
}

// endAll ends all connections.
func (p *Primary) endAll(why error) {
	p.mu.Lock()
	conns := make([]*trackedConn, 0, len(p.conns))
	for c := range p.conns {
		conns = append(conns, c)
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.end(why)
	}
}
