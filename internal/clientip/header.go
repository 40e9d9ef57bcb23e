package clientip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
)

// ErrHeader says that a connection does not begin with a header of the PROXY protocol, or with one that is broken.
var ErrHeader = errors.New("no valid PROXY header")

// MaxHeaderBytes is the longest header that is read. Version 1 has 107 bytes at most. Version 2 may carry more, such as the client's
// certificate, which nobody here wants.
const MaxHeaderBytes = 4 << 10

// maxLineBytes is the longest header of version 1, by its specification.
const maxLineBytes = 107

// signature begins a header of version 2.
var signature = []byte("\r\n\r\n\x00\r\nQUIT\n")

// ParseHeader reads the header of the PROXY protocol, version 1 or 2, at the beginning of p. It returns the client's address and the
// length of the header; a length of 0 without an error: it is not complete yet. The address is not valid if the proxy speaks for itself
// (LOCAL) or does not know (UNKNOWN, a Unix socket): then it is the connection's own. The error is ErrHeader with what is wrong.
//
// The specification is https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt
func ParseHeader(p []byte) (client netip.AddrPort, n int, err error) {
	if len(p) == 0 {
		return client, 0, nil
	}
	if p[0] == signature[0] {
		return parseBinary(p)
	}
	return parseLine(p)
}

func broken(format string, args ...any) (netip.AddrPort, int, error) {
	return netip.AddrPort{}, 0, fmt.Errorf("%w: %s", ErrHeader, fmt.Sprintf(format, args...))
}

// parseLine reads version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n".
func parseLine(p []byte) (client netip.AddrPort, n int, err error) {
	const word = "PROXY "
	if have := min(len(p), len(word)); string(p[:have]) != word[:have] {
		return broken("the connection begins with something else")
	}
	end := bytes.IndexByte(p[:min(len(p), maxLineBytes)], '\n')
	switch {
	case end < 0 && len(p) >= maxLineBytes:
		return broken("the line is longer than %d bytes", maxLineBytes)
	case end < 0:
		return client, 0, nil
	case end == 0 || p[end-1] != '\r':
		return broken("the line does not end with CR LF")
	}
	fields := bytes.Split(p[len(word):end-1], []byte(" "))
	if string(fields[0]) == "UNKNOWN" {
		return client, end + 1, nil // what follows is to be ignored
	}
	four := string(fields[0]) == "TCP4"
	if len(fields) != 5 || !four && string(fields[0]) != "TCP6" {
		return broken("the line does not have a protocol, two addresses and two ports")
	}
	var addrs [2]netip.Addr
	var ports [2]uint64
	for i := range addrs {
		var portErr error
		addrs[i], err = netip.ParseAddr(string(fields[1+i]))
		ports[i], portErr = strconv.ParseUint(string(fields[3+i]), 10, 16)
		if err != nil || portErr != nil || addrs[i].Is4() != four || addrs[i].Zone() != "" || fields[3+i][0] == '+' {
			return broken("the line has a bad address or port")
		}
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), uint16(ports[0])), end + 1, nil //nolint:gosec // it was read as 16 bits
}

// What stands in a header of version 2.
const (
	fixedBytes   = 16 // signature, version and command, family and protocol, length of the rest
	versionTwo   = 0x20
	commandLocal = 0x0
	commandProxy = 0x1
	familyFour   = 0x1
	familySix    = 0x2
	fourBytes    = 4 + 4 + 2 + 2
	sixBytes     = 16 + 16 + 2 + 2
)

func parseBinary(p []byte) (client netip.AddrPort, n int, err error) {
	if have := min(len(p), len(signature)); !bytes.Equal(p[:have], signature[:have]) {
		return broken("the connection begins with something else")
	}
	if len(p) < fixedBytes {
		return client, 0, nil
	}
	command := p[12] & 0x0f
	switch {
	case p[12]&0xf0 != versionTwo:
		return broken("version %d is not known", p[12]>>4)
	case command != commandLocal && command != commandProxy:
		return broken("command %d is not known", command)
	}
	n = fixedBytes + int(binary.BigEndian.Uint16(p[14:]))
	switch {
	case n > MaxHeaderBytes:
		return broken("it has %d bytes, more than %d", n, MaxHeaderBytes)
	case len(p) < n:
		return client, 0, nil
	case command == commandLocal:
		return client, n, nil
	}
	body := p[fixedBytes:n]
	switch p[13] >> 4 {
	case familyFour:
		if len(body) < fourBytes {
			return broken("its addresses are cut off")
		}
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(body)), binary.BigEndian.Uint16(body[8:])), n, nil
	case familySix:
		if len(body) < sixBytes {
			return broken("its addresses are cut off")
		}
		return netip.AddrPortFrom(netip.AddrFrom16([16]byte(body)).Unmap(), binary.BigEndian.Uint16(body[32:])), n, nil
	}
	return client, n, nil // unspecified, or a Unix socket
}
