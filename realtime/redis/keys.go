package redis

import (
	"encoding/hex"
	"strconv"
	"strings"

	"kentongan/realtime"
	"kentongan/tenant"
)

// keys spells the names of everything in Redis. It is the prefix; in a Cluster clusterTag stands before it, so that all is in one slot.
type keys string

func (o Options) keys() keys {
	if len(o.Cluster) > 0 {
		return keys(clusterTag + o.Prefix)
	}
	return keys(o.Prefix)
}

// placed reports whether all is in one slot of a Cluster.
func (k keys) placed() bool { return strings.HasPrefix(string(k), clusterTag) }

// Commands for the Pub/Sub channels of ours, which in a Cluster are those of the slot.
func (k keys) subscribe() string   { return k.sharded("SUBSCRIBE") }
func (k keys) unsubscribe() string { return k.sharded("UNSUBSCRIBE") }

func (k keys) sharded(command string) string {
	if k.placed() {
		return "S" + command
	}
	return command
}

// open is the prefix of Pub/Sub channels on which others publish too, with plain PUBLISH: in a Cluster that is in no slot, and heard at
// every node.
func (k keys) open() string { return strings.TrimPrefix(string(k), clusterTag) }

// globalTag stands for tenant.Global; an id cannot spell it.
const globalTag = "*"

func tag(t tenant.ID) string { return string(appendTag(nil, t)) }

func appendTag(b []byte, t tenant.ID) []byte {
	if t == tenant.Global {
		t = globalTag
	}
	return append(append(append(b, '{'), t...), '}')
}

func (k keys) head(t tenant.ID) string { return string(k) + tag(t) + ":head" }
func (k keys) live(t tenant.ID) string { return string(k) + tag(t) + ":live" }

func (k keys) stream(ch realtime.Channel) string { return k.streamOf(ch.Tenant, ch.Name) }

func (k keys) streamOf(t tenant.ID, name string) string { return string(k) + tag(t) + ":h:" + name }

// newest holds the newest publication of each key of ch.
func (k keys) newest(ch realtime.Channel) string { return string(k) + tag(ch.Tenant) + ":n:" + ch.Name }

// record has the length of the name in it, because names and keys may hold any separator.
func (k keys) record(ch realtime.Channel, key string) string {
	return string(k) + tag(ch.Tenant) + ":k:" + strconv.Itoa(len(ch.Name)) + ":" + ch.Name + ":" + key
}

func (k keys) nodes(t tenant.ID) string             { return string(k.appendNodes(nil, t)) }
func (k keys) present(t tenant.ID, n string) string { return string(k.appendPresent(nil, t, n)) }
func (k keys) device(d realtime.Device) string      { return string(k.appendDevice(nil, d)) }
func (k keys) ticket(id string) string              { return string(k) + "ticket:" + id }
func (k keys) schema() string                       { return string(k) + "schema" }
func (k keys) revoke() string                       { return k.open() + "revoke" }
func (k keys) extend() string                       { return k.open() + "extend" }
func (k keys) usage() string                        { return string(k) + "usage" }
func (k keys) revoked() string                      { return string(k) + "revoked" }

func (k keys) intake() string     { return string(k) + "intake" }       // what nodes agree on about plain PUBLISH
func (k keys) intakeAble() string { return string(k) + "intake:able" }  // nodes that could stamp next
func (k keys) marks() string      { return string(k) + "intake:marks" } // Pub/Sub channel of marks and answers

func (k keys) appendNodes(b []byte, t tenant.ID) []byte {
	return append(appendTag(append(b, k...), t), ":present"...)
}

func (k keys) appendPresent(b []byte, t tenant.ID, node string) []byte {
	return append(append(k.appendNodes(b, t), ':'), node...)
}

// appendDevice appends the key of devices, a colon, and the name of d in deviceNameBytes.
func (k keys) appendDevice(b []byte, d realtime.Device) []byte {
	b = append(appendTag(append(b, k...), d.Tenant), ":dev:"...)
	return hex.AppendEncode(b, d.ID[:])
}

const deviceNameBytes = 2 * len(realtime.DeviceID{})

// slot is a Pub/Sub channel on which nothing is published: who subscribes is told when the slot of the Cluster is at another node.
func (k keys) slot() string { return string(k) + "slot" }

// feed is the Pub/Sub channel of one connection that hears plain PUBLISH. Nothing is published there: that somebody subscribes says
// that the connection is open.
func (k keys) feed(word string) string { return string(k) + "intake:feed:" + word }

// headGlob matches the heads of all tenants.
func (k keys) headGlob() string { return escapeGlob(string(k)) + "{*}:head" }

// tenantOfHead reads a tenant back out of the name of its head.
func (k keys) tenantOfHead(key string) (tenant.ID, bool) {
	s, ok := strings.CutPrefix(key, string(k)+"{")
	if !ok {
		return "", false
	}
	if s, ok = strings.CutSuffix(s, "}:head"); !ok {
		return "", false
	}
	if s == globalTag {
		return tenant.Global, true
	}
	return tenant.ID(s), tenant.Valid(s)
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(s)
}
