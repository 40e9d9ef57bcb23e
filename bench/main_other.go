//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: needs Linux: it drives its crowds with epoll and reads costs from /proc")
	os.Exit(2)
}
