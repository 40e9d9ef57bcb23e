//go:build unix

package doctor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// openFiles is how many files a process that this shell starts may have open: Go raises the soft limit to the hard one.
func openFiles() (uint64, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	return limit.Max, nil
}

// freeBytes is how much room this user has on the disk of a folder.
func freeBytes(folder string) (uint64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return 0, fmt.Errorf("ask for the room in %s: %w", folder, err)
	}
	return s.Bavail * uint64(s.Bsize), nil //nolint:gosec,unconvert,nolintlint // the type of a block's size is the system's
}
