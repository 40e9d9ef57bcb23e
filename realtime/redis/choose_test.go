package redis

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestChoose(t *testing.T) {
	at := func(address string, epoch uint64) finderAnswer { return finderAnswer{place: place{address, epoch}} }
	out := finderAnswer{err: errors.New("out")}
	for name, one := range map[string]struct {
		answers []finderAnswer
		known   place
		want    place
		err     bool
	}{
		"First":                {[]finderAnswer{at("a", 0)}, place{}, place{"a", 0}, false},
		"TheNewestOfTwo":       {[]finderAnswer{at("a", 1), at("b", 2), at("a", 1)}, place{"a", 1}, place{"b", 2}, false},
		"OneHasHeardOfIt":      {[]finderAnswer{out, out, at("b", 2)}, place{"a", 1}, place{"b", 2}, false},
		"OneHasNotHeardOfIt":   {[]finderAnswer{out, out, at("a", 1)}, place{"b", 2}, place{"b", 2}, false},
		"AllWereSetUpAnew":     {[]finderAnswer{out, at("c", 0), at("c", 0)}, place{"b", 2}, place{"c", 0}, false},
		"NoneAnswers":          {[]finderAnswer{out, out, out}, place{"b", 2}, place{}, true},
		"TheSameAtAnotherName": {[]finderAnswer{at("b2", 2)}, place{"b", 2}, place{"b2", 2}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := choose(one.answers, 3, one.known)
			if got != one.want || (err != nil) != one.err {
				t.Errorf("got %v, %v; want %v, error %t", got, err, one.want, one.err)
			}
		})
	}
}

// TestChooseNeverGoesBack: whatever a minority says, an older failover is not gone back to.
func TestChooseNeverGoesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sentinels := rapid.IntRange(1, 7).Draw(t, "sentinels")
		known := place{"known", rapid.Uint64Range(0, 5).Draw(t, "known")}
		var answers []finderAnswer
		good := 0
		newest := uint64(0)
		for range rapid.IntRange(0, sentinels).Draw(t, "answers") {
			if rapid.Bool().Draw(t, "fails") {
				answers = append(answers, finderAnswer{err: errors.New("out")})
				continue
			}
			good++
			epoch := rapid.Uint64Range(0, 5).Draw(t, "epoch")
			newest = max(newest, epoch)
			answers = append(answers, finderAnswer{place: place{"x", epoch}})
		}
		got, err := choose(answers, sentinels, known)
		switch {
		case (err != nil) != (good == 0):
			t.Fatalf("%v with %d answers", err, good)
		case err != nil:
		case got.epoch < known.epoch && good <= sentinels/2:
			t.Fatalf("went back from %v to %v by %d of %d", known, got, good, sentinels)
		case newest >= known.epoch && got.epoch != newest:
			t.Fatalf("took %v, there is epoch %d", got, newest)
		}
	})
}

func FuzzAsker(f *testing.F) {
	f.Add("+OK\r\n")
	f.Add("-NOAUTH Authentication required.\r\n")
	f.Add("*3\r\n$6\r\nmaster\r\n:17\r\n*0\r\n")
	f.Add("$-1\r\n")
	f.Add("*99999999\r\n")
	f.Add("$99999999\r\nx")
	f.Add(strings.Repeat("*1\r\n", 100) + ":1\r\n")
	f.Fuzz(func(t *testing.T, stream string) {
		a := newAsker(&scripted{r: strings.NewReader(stream), piece: 7}, 0)
		for {
			r, err := a.read(0)
			if err != nil {
				return
			}
			if len(r.text) > maxAnswerBytes || len(r.list) > maxAnswerList {
				t.Fatalf("an answer of %d bytes and %d parts", len(r.text), len(r.list))
			}
			_, _ = readPlace(r, r, "name")
			_ = checkRole(r, r, "here")
		}
	})
}
