// Package stamping decides who stamps plain PUBLISH when several nodes hear it, so that each message is stamped exactly once and
// in the order in which Redis sent it, also while nodes come, go, die or stand still. It does no I/O: a [Node] is told what
// happens and says what to do next, so that a test can drive it through every order of events.
//
// # Why counting is enough
//
// PUBLISH carries no number, but one Redis hands every connection that listens to the same globs the same messages in the same
// order. So all can number them by counting, once they agree on one point. That point is a mark: a word that is published on a
// channel of ours, which every connection meets between the same two messages.
//
// A connection of a node to Redis is a feed. A node has two, and merges them into its line: message n of the line is taken
// from whichever feed has it first, so the loss of one feed is no loss. The second feed finds its place on the line by a mark that
// both have met.
//
// The nodes agree on a numbering. It begins with a mark, which is its number 0 and its name. A node is aligned when it knows
// which number of the numbering a place on its line has: from that first mark, or because the holder says so for each mark that it meets.
//
// # Why each is stamped once
//
// One script stamps a batch, stores history, and writes down the highest number stamped, in one step. It refuses a batch of another
// numbering, one of a node that is not the holder, and one that would leave a number out; what is stamped already it skips. So an
// answer that was lost, a node that wakes up after its successor began, or two nodes that both believe to be the holder do no harm.
//
// The other nodes keep what is not stamped yet in a ring. When the holder is gone, one of them learns the highest number in the
// same step in which it becomes the holder, and goes on with the next.
//
// # What is a break
//
// If no node has everything after the highest number, nobody knows what is missing. Then a new numbering begins, and the
// epochs of all channels are owed a turn: the [Ledger] remembers that until it is done, so that it does not die with the holder.
package stamping
