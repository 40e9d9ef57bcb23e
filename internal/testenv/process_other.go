//go:build unix && !linux

package testenv

import "syscall"

// dieWithUs has no counterpart here: a killed test binary leaves its children to the user.
func dieWithUs() *syscall.SysProcAttr { return nil }

// awaitStopped has no counterpart here.
func awaitStopped(int) error { return nil }
