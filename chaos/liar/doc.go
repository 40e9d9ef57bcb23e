// Package liar is a gateway that is wrong on purpose: a man in the middle between clients or publishers and a real one, who
// tells each of them one lie. A checker that has never found anything proves nothing; this is how it is known that ours does.
package liar
