package process

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// FreeAddresses returns n loopback addresses that were free a moment ago, no two the same. Their ports lie below those that
// Linux gives to clients (from 32768 on), so that none is lost to one of them while a server restarts.
func FreeAddresses(n int) []string {
	var addresses []string
	for len(addresses) < n {
		address := "127.0.0.1:" + strconv.Itoa(20_000+rand.IntN(12_000)) //nolint:gosec // no secret
		listener, err := net.Listen("tcp", address)                      //nolint:noctx // loopback
		if err != nil {
			continue
		}
		defer func() { _ = listener.Close() }() // at the end, so that no other gets the same
		addresses = append(addresses, address)
	}
	return addresses
}
