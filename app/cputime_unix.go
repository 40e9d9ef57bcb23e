//go:build unix

package app

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime returns what this process has used of all processors so far.
func cpuTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		panic("app: getrusage: " + err.Error()) // it fails for arguments only that are not these
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
