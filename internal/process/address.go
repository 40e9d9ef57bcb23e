package process

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports that are given out lie below those that Linux gives to clients (from 32768 on), so that none is lost to one of them
// while a server restarts.
const (
	firstPort = 20_000
	ports     = 12_000
)

// FreeAddresses returns n loopback addresses that were free a moment ago, no two the same. On Linux nobody else who calls this, in
// this process or another one of this machine, is given one of them while this process runs, or until it has asked for
// [maxReserved] more: a server may take its time to start, and may be away for a while, and finds its port free.
func FreeAddresses(n int) []string {
	var addresses []string
	var listeners []net.Listener // closed at the end, so that no other gets the same
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	for len(addresses) < n {
		port := firstPort + rand.IntN(ports) //nolint:gosec // no secret
		if !reserve(port) {
			continue
		}
		address := "127.0.0.1:" + strconv.Itoa(port)
		listener, err := net.Listen("tcp", address) //nolint:noctx // loopback
		if err != nil {
			continue // another program has it; that it stays reserved does no harm
		}
		listeners = append(listeners, listener)
		addresses = append(addresses, address)
	}
	return addresses
}
