// Package e2e proves the whole: the built binary, real Redis, the app's own Redis clients and session encoders, and pages in
// Chromium with nothing but `new WebSocket` or `new EventSource`. It has tests only.
package e2e
