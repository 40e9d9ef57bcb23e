// Package tracing records where the time of one publication goes: as spans of OpenTelemetry, sent to a collector over OTLP.
//
// It is off unless somebody asks for it. Off is a nil [Tracer]: all its methods, and those of a nil [Span], do nothing, and nothing is
// allocated. Whether a trace is recorded is decided once, where it begins; what is not recorded has no [Context], and whoever it is handed
// on to has nothing to do and nothing to decide.
//
// Spans tell of kitchens and of channel patterns, never of people, credentials, or what a publication says.
package tracing
