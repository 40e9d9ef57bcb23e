package shared

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// A marker stands in the place of an entry. It is JSON for the number zero with a large exponent, which the app reads as a miss:
//
//	0e1 FFFFFFFFFFFFFFFFFFF TTTTTTTTTTTTTTTTTTT   a lease: somebody loads
//	0e2 FFFFFFFFFFFFFFFFFFF 0000000000000000000   a floor: what is older than version F is refused
//
// F is the floor and T the token of the lease, 19 digits each, without the spaces.
const (
	markerBytes = 3 + 2*digits
	digits      = 19 // of the largest int64
)

// OtherKind is what Read returns for something that is no text. No entry is that.
const OtherKind = "\x00"

// IsMarker reports whether a value is a marker.
func IsMarker(v string) bool {
	if len(v) != markerBytes || !strings.HasPrefix(v, "0e1") && !strings.HasPrefix(v, "0e2") {
		return false
	}
	for i := 3; i < len(v); i++ {
		if v[i] < '0' || v[i] > '9' {
			return false
		}
	}
	return true
}

// IsLease reports whether a value is a lease.
func IsLease(v string) bool { return IsMarker(v) && v[2] == '1' }

// FloorIn returns the floor of a marker; it is zero in a lease that nobody has put one under.
func FloorIn(v string) int64 {
	n, err := strconv.ParseInt(v[3:3+digits], 10, 64)
	if err != nil { // above any version that there is
		return 0
	}
	return n
}

func pad(n int64) string { return fmt.Sprintf("%019d", n) }

// LeaseOf returns the lease with a floor and a token, as Swap makes it.
func LeaseOf(floor int64, token string) string { return "0e1" + pad(floor) + token }

// FloorOf returns the marker that only has a floor.
func FloorOf(floor int64) string { return "0e2" + pad(floor) + pad(0) }

// NewToken returns a token that nobody else has.
func NewToken() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // it never fails
	return pad(int64(binary.BigEndian.Uint64(b[:]) >> 1))
}

// Identity tells values apart without comparing megabytes: short ones are their own, of long ones it is the length, the first 100 and
// the last 160 bytes. What we write begins with its epochs and times; what the app writes ends with its times.
func Identity(v string) string {
	if len(v) <= 300 {
		return v
	}
	return strconv.Itoa(len(v)) + ":" + v[:100] + v[len(v)-160:]
}

// VersionOf returns the version of an entry; zero if it has none. Ours begin with it. In the app's it stands near the end, before the
// tenant, as a number or as text.
func VersionOf(v string) int64 {
	if rest, ok := strings.CutPrefix(v, `{"version":`); ok {
		if i := strings.IndexByte(rest, ','); i > 0 {
			return number(rest[:i])
		}
		return 0
	}
	tail := v[max(0, len(v)-tailBytes):]
	i := strings.LastIndex(tail, `"version":`)
	if i < 0 {
		return 0
	}
	tail = strings.TrimPrefix(tail[i+len(`"version":`):], `"`)
	j := strings.IndexFunc(tail, func(r rune) bool { return r < '0' || r > '9' })
	if j <= 0 || !strings.HasPrefix(strings.TrimPrefix(tail[j:], `"`), `,"sppgId"`) {
		return 0
	}
	return number(tail[:j])
}

// tailBytes is how much of the end of a foreign entry is looked at.
const tailBytes = 2048

func number(s string) int64 {
	if len(s) > digits {
		return 0
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
