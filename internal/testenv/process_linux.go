package testenv

import "syscall"

// dieWithUs makes the kernel end a child when the test binary is killed, for then no cleanup runs: a test that panics at
// its -timeout must not leave a Redis behind.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
