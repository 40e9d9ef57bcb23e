package main

import (
	"os"
	"strconv"
	"strings"
)

// ticks are counted for all processors together, since the machine was started.
type ticks struct {
	all   uint64
	taken uint64 // in which a processor had work, and the host of this virtual machine ran something else on it
}

// taken is what a latency of a virtual machine has in it that no program of the machine is to blame for. Where nobody counts it is zero.
func taken() ticks {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return ticks{}
	}
	return readTicks(text)
}

// readTicks reads the first line of /proc/stat: of all processors user, nice, system, idle, iowait, irq, softirq and steal. What guests of
// this machine took, which follows, is in user and nice.
func readTicks(stat []byte) ticks {
	const fields, steal = 8, 7
	line, _, _ := strings.Cut(string(stat), "\n")
	words := strings.Fields(line)
	if len(words) < 1+fields || words[0] != "cpu" {
		return ticks{}
	}
	var t ticks
	for i, word := range words[1 : 1+fields] {
		n, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return ticks{}
		}
		t.all += n
		if i == steal {
			t.taken = n
		}
	}
	return t
}

// since returns how much of the time from before to t was taken, in percent; zero where the count has gone back, as some hosts let it.
func (t ticks) since(before ticks) float64 {
	const percent = 100
	if t.taken < before.taken || t.all < before.all {
		return 0
	}
	return over(percent*float64(t.taken-before.taken), float64(t.all-before.all))
}
