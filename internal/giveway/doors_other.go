//go:build !linux

package giveway

func watch(int) {}

// quiet cannot tell here.
func quiet() bool { return false }
