//go:build unix

// Package testenv starts the real things that tests need: Redis, PostgreSQL, Node with the npm packages of the existing app, Chromium,
// nginx, HAProxy, Caddy and an ACME authority. Each test gets its own, on loopback, and nothing outlives the test.
//
// What is missing is installed by `make test`. A test that cannot have what it needs fails and says so: a test that
// skips proves nothing, and nobody notices it.
package testenv

import (
	"os/exec"
	"testing"
)

// program returns the path of the first of names that is installed, and ends the test if none is.
func program(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is not installed; run make test, which installs it", names[0])
	return ""
}

// Chromium returns the path of the browser. Package testenv/browser starts it.
func Chromium(t testing.TB) string {
	t.Helper()
	return program(t, "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
}
