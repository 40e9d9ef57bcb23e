package config

import "time"

func cacheSection() section {
	return section{
		title: "Cache",
		intro: "What `kentongan cache` and, if it is on, `serve` keep of the app's cache. docs/cache.md tells what is promised. All " +
			"nodes on one Redis need the same `KENTONGAN_CACHE_BOUND`.",
		settings: []setting{
			{
				key: "cache.on", env: []string{"KENTONGAN_CACHE"}, def: "off", example: "on",
				meaning: "Have `serve` keep entries in memory, listen for changes of the app's cache, and forget the state of a " +
					"production before it hands on news of it.",
				kind: toggle{func(d *draft) *bool { return &d.Cache.On }},
			},
			{
				key: "cache.bytes", env: []string{"KENTONGAN_CACHE_BYTES"}, def: "64MiB", example: "256MiB",
				meaning: "How much memory entries may take; one kitchen at most an eighth of it.",
				kind:    size{func(d *draft) *int { return &d.Cache.Bytes }, 1 << 20, 64 << 30},
			},
			{
				key: "cache.bound", env: []string{"KENTONGAN_CACHE_BOUND"}, def: "1s", example: "500ms",
				meaning: "How long memory may go on answering with what another node or the app has changed, at most.",
				kind:    duration{func(d *draft) *time.Duration { return &d.Cache.Bound }, 10 * time.Millisecond, time.Minute},
			},
			{
				key: "cache.quarantine", env: []string{"KENTONGAN_CACHE_QUARANTINE"}, def: "5s", example: "10s",
				meaning: "How long after an invalidation an entry that the app writes is not trusted, for it may have been read " +
					"before. The clocks of the app's machines must not differ from that of Redis by more.",
				kind: duration{func(d *draft) *time.Duration { return &d.Cache.Quarantine }, 0, time.Minute},
			},
			{
				key: "cache.hold_off", env: []string{"KENTONGAN_CACHE_HOLD_OFF"}, def: "0s", example: "2s",
				meaning: "How far replicas of the database lag, if loads read from them: what is loaded so soon after an invalidation " +
					"lives no longer than that.",
				kind: duration{func(d *draft) *time.Duration { return &d.Cache.HoldOff }, 0, time.Hour},
			},
		},
	}
}
