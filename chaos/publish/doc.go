// Package publish is the app's side of the chaos runs: publishers that send marked messages through each of the doors,
// repeat what they may repeat, and write down what they know of every one of them.
//
// What an answer means differs by door, and package check goes by it:
//
//	door      acknowledged                     an unknown outcome
//	http      stored, with its position        is repeated under the same idempotency key until it is known
//	batch     the same, for lists
//	redis     stored (the Redis door)          is left alone: the protocol has no key, the message may appear once
//	stream    in the stream: will be stored    is repeated with the same id
//	plain     nothing: Redis has sent it on    is left alone
package publish
