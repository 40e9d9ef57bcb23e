// Package doctor finds what is wrong with an installation before its users do: settings, secrets, a cookie that is refused, Redis, the
// database, the machine, the proxy in front, and channels that go astray. It looks from outside, as an operator would, and changes nothing.
//
// Each check is a function of its own that returns [Finding]s: what is wrong, where, and what would be right. None of them holds a
// secret, a token, or the data of a message.
package doctor
