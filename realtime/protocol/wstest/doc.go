// Package wstest is a conformance client for WebSocket servers, written from RFC 6455 and RFC 7692. It speaks over raw
// TCP and makes and reads its frames itself, so that it shares no mistake with the code that it tests.
//
// It needs an endpoint that echoes every message. [Run] makes a subtest of each case.
package wstest
