package redis

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/rueidis"

	"kentongan/realtime"
)

// Replication is asynchronous: a replica that is promoted may not have what was acknowledged and delivered, and nobody knows how much that
// was before all nodes have come and compared. Until then the offsets would be given out a second time. So a promotion begins a reign,
// which has a word, and every epoch that is begun in it ends with that word. The scripts that give offsets out do so only in
// epochs of their reign; of another one they begin a new epoch first.
//
// They must not believe to be in a reign that is over. So the word is a part of their text: each reign has scripts of its own, which are
// loaded while a connection is made, by what answers there. A batch that was made for the old primary and meets the new one
// calls a script that is not there, and does nothing.
//
// A Redis that has taken over no other's history has no word, and goes on in whatever epoch there is: one that comes back with all that
// it had is no reason for a gap. If it comes back with less, that is found by comparing (see doubt.go).

// reignLetters letters are 30 bits of chance, by which one reign could be taken for the one before it.
const reignLetters = 6

// reignOf returns the word of the reign of a process with this run_id, after its last promotion; empty: it was not promoted, or does not
// say. replication is what INFO says: master_replid2 is the history that it took over, and has only zeros if there is none.
//
// Redis forgets that history after an hour without a replica, so connections of then have no word. They go on in the
// epochs of those that have.
func reignOf(run string, replication reply) string {
	before := replication.field("master_replid2")
	if run == "" || strings.Trim(before, "0") == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(run + " " + before))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:reignLetters]
}

// newEpoch returns a new epoch of the reign in which Redis is, as far as this node knows. If that is an older one, the next publication
// begins another.
func (b *Broker) newEpoch() string { return realtime.NewEpoch() + b.ask.dialer.reigns() }

// bygone reports whether the epoch now, which is another one than a channel was in last, may be of before that. Then what is in it was
// delivered long ago, perhaps before this node followed.
//
// One that is of another reign may be older, if the replica that was promoted was that far behind. And where an epoch was begun in a reign
// that has a word, one without any may be that of the primary before: Sentinels promote it anew if the one after it fails before
// they have told it that it is none.
func (b *Broker) bygone(last, now string) bool {
	reign := b.ask.dialer.reigns()
	if reign == "" {
		return len(last) >= wordedEpoch && len(now) < wordedEpoch
	}
	return !strings.HasSuffix(now, reign)
}

// wordedEpoch is the length of an epoch that ends with the word of a reign.
var wordedEpoch = len(realtime.NewEpoch()) + reignLetters

// inReign is a script that gives offsets out, for each reign.
type inReign struct{ source string }

var (
	publishScript = inReign{placeSource + storeSource + publishSource}
	stampScript   = inReign{placeSource + storeSource + linksSource + stampSource}
)

// text is what Redis is given.
func (s inReign) text(reign string) string { return "local reign = '" + reign + "'\n" + s.source }

// sha is the name by which Redis knows the script once it was loaded.
func (s inReign) sha(reign string) string {
	sum := sha1.Sum([]byte(s.text(reign))) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// load gives Redis the scripts of a reign, on a connection that is being made.
func (a *asker) load(reign string) error {
	replies, err := a.ask([]string{"SCRIPT", "LOAD", publishScript.text(reign)}, []string{"SCRIPT", "LOAD", stampScript.text(reign)})
	if err != nil {
		return err
	}
	for _, r := range replies {
		if r.refusal != "" {
			return fmt.Errorf("load scripts: %s", r.refusal)
		}
	}
	return nil
}

// scripts are the names of both in one reign, so that they are not made for each publication.
type scripts struct {
	connection     uint64 // of the dialer, when this was looked up
	publish, stamp string
}

// scripts returns the names of the scripts that the last connection can call.
func (d *dialer) scripts() scripts {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.named.publish == "" || d.namedFor != d.reign {
		d.named, d.namedFor = scripts{publish: publishScript.sha(d.reign), stamp: stampScript.sha(d.reign)}, d.reign
	}
	d.named.connection = d.opened
	return d.named
}

// demoted ends the connections if err says that the primary is a replica now. It may become a primary again, with less than it had,
// and nobody may go on then on a connection of before.
func (d *dialer) demoted(err error) {
	if said, ok := errors.AsType[*rueidis.RedisError](err); ok && strings.HasPrefix(said.Error(), "READONLY") {
		d.drop(errDemoted)
	}
}

var errDemoted = errors.New("the primary has become a replica")

var errScriptsGone = errors.New("redis has forgotten the scripts")

// missing is called when Redis did not know s. If the connection is still the same, somebody has flushed its scripts, and a new
// connection loads them.
func (d *dialer) missing(s scripts) {
	if d.generation() == s.connection {
		d.drop(errScriptsGone)
	}
}
