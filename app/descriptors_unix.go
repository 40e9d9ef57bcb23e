//go:build unix

package app

import "golang.org/x/sys/unix"

// descriptorLimit returns how many descriptors the process may have: Go has raised the soft limit to the hard one at the start. 0: it is
// not known, or there is no limit.
func descriptorLimit() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || limit.Cur == unix.RLIM_INFINITY {
		return 0
	}
	return limit.Cur
}
