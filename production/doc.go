// Package production is the kitchen: batches of food, what is measured and checked about them, the rules of food safety,
// the alerts, and who may do what. It does no I/O and reads no clock: time comes in as an argument.
//
// The way of a change: [Service] loads a [Batch] with its [Kitchen] from a [Store], [Apply] decides, and one
// [Store.Commit] writes the row, what was added to it, its events, its audit entries and the answer to the idempotency
// key, or nothing of it. [Apply] is a pure function: the same batch, change and instant always give the same commit or
// the same [Refusal]. [Evaluate] does the same for what only time brings about: alerts, escalations, and when to look again.
//
// What a batch must fulfil in a step stands in docs/production.md, with the codes of refusals.
//
// # Units
//
// Temperatures are tenths of a degree, weights tenths of a kilogram, money whole rupiah, instants milliseconds in UTC,
// all whole numbers, so that what is stored is exactly what was measured. A serving day is a [Day] in the zone of its
// kitchen; it is never taken from a UTC instant. What is not known is nil, or the zero [Instant], and null in JSON; it
// is never 0.
//
// Values are not changed in place: a pointer or slice in a [Production] is replaced, never written through, so copies
// may share them and may be read concurrently.
package production
