package process

import (
	"net"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAddressesAreKept: what was given out is not given out again, though nobody listens there.
func TestAddressesAreKept(t *testing.T) {
	seen := map[string]bool{}
	for range maxReserved / 4 {
		for _, address := range FreeAddresses(4) {
			if seen[address] {
				t.Fatalf("%s was given out twice", address)
			}
			seen[address] = true
			listener, err := net.Listen("tcp", address)
			if err != nil {
				t.Fatalf("it is not free: %v", err)
			}
			_ = listener.Close()
		}
	}
}

// TestReserveKeepsOthersOut has another socket hold the name of a port, as another process does.
func TestReserveKeepsOthersOut(t *testing.T) {
	const port = 7 // none that is given out
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: "@kentongan-port-" + strconv.Itoa(port)}); err != nil {
		t.Fatal(err)
	}
	if reserve(port) {
		t.Error("a port of another process was reserved")
	}
	if err := unix.Close(fd); err != nil {
		t.Fatal(err)
	}
	if !reserve(port) || reserve(port) {
		t.Error("a port whose process has ended is not reserved, or twice")
	}
	for range maxReserved {
		FreeAddresses(1)
	}
	if !reserve(port) {
		t.Errorf("it is still reserved after %d others", maxReserved)
	}
	reserved.Lock()
	defer reserved.Unlock()
	if n := len(reserved.sockets); n > maxReserved {
		t.Errorf("%d descriptors are held, want at most %d", n, maxReserved)
	}
}
