package config

import (
	"math"
	"time"
)

func connectionSection() section {
	return section{
		title: "Connections",
		intro: "How open WebSocket and SSE connections are treated.",
		settings: []setting{
			{
				key: "connections.sockets", env: []string{"KENTONGAN_SOCKETS"}, def: "auto", example: "portable",
				meaning: "What moves the bytes of connections. `epoll`: a few loops serve them all; Linux, without TLS. `portable`: a " +
					"goroutine for each. `auto`: `epoll` where it can be.",
				kind: text{
					func(d *draft) *string { return (*string)(&d.Connections.Sockets) }, "`auto`, `epoll` or `portable`", checkSockets,
				},
			},
			{
				key: "connections.ping_interval", env: []string{"KENTONGAN_PING_INTERVAL"}, def: "25s", example: "15s",
				meaning: "How often a quiet connection gets a sign of life. Two without an answer, and it is closed. " +
					"Shorter than the idle timeout of every proxy on the way (often 60s, some mobile networks 30s).",
				kind: duration{func(d *draft) *time.Duration { return &d.Connections.PingInterval }, time.Second, 10 * time.Minute},
			},
			{
				key: "connections.deflate", env: []string{"KENTONGAN_DEFLATE"}, def: "on", example: "off",
				meaning: "Compress for clients that offer permessage-deflate: once for each publication, not once for each reader.",
				kind:    toggle{func(d *draft) *bool { return &d.Connections.Deflate }},
			},
			{
				key: "connections.bare_resume", env: []string{"KENTONGAN_BARE_RESUME"}, def: "on", example: "off",
				meaning: "Pages with nothing but `new WebSocket` are sent what they missed while their line was down. The " +
					"browser gets a " +
					"cookie for it, `kentongan_device`, a random number. `off`: neither.",
				kind: toggle{func(d *draft) *bool { return &d.Connections.BareResume }},
			},
			{
				key: "connections.deflate_threshold", env: []string{"KENTONGAN_DEFLATE_THRESHOLD"}, def: "512", example: "1KiB",
				meaning: "Shorter publications are sent as they are.",
				kind:    size{func(d *draft) *int { return &d.Connections.DeflateThreshold }, 0, 1 << 30},
			},
		},
	}
}

func limitSection() section { //nolint:funlen // a table
	return section{
		title: "Limits",
		intro: "What one client, one publisher and all together may take.",
		settings: []setting{
			{
				key: "limits.connections", env: []string{"KENTONGAN_MAX_CONNECTIONS"}, def: "50000", example: "20000",
				meaning: "Open connections at once on this node; one more is answered 503. Each needs a file descriptor: " +
					"see `ulimit -n`.",
				kind: count{func(d *draft) *int { return &d.Limits.Connections }, 1, 10_000_000},
			},
			{
				key: "limits.tenant_connections", env: []string{"KENTONGAN_MAX_TENANT_CONNECTIONS"}, def: "5000", example: "500",
				meaning: "Open connections of one kitchen; one more is answered 429. 0 is no limit. With Redis those of all nodes " +
					"count, which tell each other every 2 s. A kitchen has some dozen screens, each with a tab or two.",
				kind: count{func(d *draft) *int { return &d.Edge.TenantConnections }, 0, 10_000_000},
			},
			{
				key: "limits.user_connections", env: []string{"KENTONGAN_MAX_USER_CONNECTIONS"}, def: "500", example: "20",
				meaning: "Open connections of one user; 0 is no limit. Counted as above. In many kitchens all screens are signed " +
					"in as the same user. Servers with an API key are not counted.",
				kind: count{func(d *draft) *int { return &d.Edge.UserConnections }, 0, 10_000_000},
			},
			{
				key: "limits.address_connections", env: []string{"KENTONGAN_MAX_ADDRESS_CONNECTIONS"}, def: "1000", example: "200",
				meaning: "Open connections from one public address on this node, or from one /64 of IPv6; 0 is no limit. " +
					"That is twenty " +
					"kitchens of 50 screens behind one address of a provider. Private addresses are not counted: behind one that is no " +
					"trusted proxy, everybody has it.",
				kind: count{func(d *draft) *int { return &d.Edge.AddressConnections }, 0, 10_000_000},
			},
			{
				key: "limits.upgrade_rate", env: []string{"KENTONGAN_UPGRADE_RATE"}, def: "100", example: "20",
				meaning: "WebSockets and event streams that one public address may ask for in a second, whether they are " +
					"let in or not; those " +
					"of ten seconds may come at once. 0 is no limit. Addresses are counted as above.",
				kind: count{func(d *draft) *int { return &d.Edge.UpgradeRate }, 0, 1_000_000},
			},
			{
				key: "limits.subscriptions", env: []string{"KENTONGAN_MAX_SUBSCRIPTIONS"}, def: "100", example: "200",
				meaning: "Channels that one connection may follow.",
				kind:    count{func(d *draft) *int { return &d.Limits.Subscriptions }, 1, 10_000},
			},
			{
				key: "limits.message_bytes", env: []string{"KENTONGAN_MAX_MESSAGE_BYTES"}, def: "64KiB", example: "16KiB",
				meaning: "Largest message from a client.",
				kind:    size{func(d *draft) *int { return &d.Limits.MessageBytes }, 1 << 10, 64 << 20},
			},
			{
				key: "limits.publish_bytes", env: []string{"KENTONGAN_MAX_PUBLISH_BYTES"}, def: "1MiB", example: "256KiB",
				meaning: "Largest publication from a server or from Redis.",
				kind:    size{func(d *draft) *int { return &d.Limits.PublishBytes }, 1 << 10, 64 << 20},
			},
			{
				key: "limits.publish_rate", env: []string{"KENTONGAN_PUBLISH_RATE"}, def: "0", example: "500",
				meaning: "Publications a second of one API key on this node, over HTTP, `kentongan.v1` and the Redis door together; as " +
					"many as come in one second may come at once. 0 is no limit.",
				kind: count{func(d *draft) *int { return &d.Limits.PublishRate }, 0, 1_000_000},
			},
			{
				key: "limits.tenant_publish_rate", env: []string{"KENTONGAN_TENANT_PUBLISH_RATE"}, def: "0", example: "200",
				meaning: "Publications a second to one kitchen, whichever key they come with; otherwise as above. With Redis " +
					"those of all nodes count: each lets through what the others leave, and an equal part at least. What the app " +
					"sends with plain `PUBLISH` through its own Redis is not counted: it cannot be told to wait.",
				kind: count{func(d *draft) *int { return &d.Edge.TenantPublishRate }, 0, 1_000_000},
			},
			{
				key: "limits.tenant_weights", env: []string{"KENTONGAN_TENANT_WEIGHTS"}, unset: "all kitchens have 1", example: "sppg_7:4",
				meaning: "How large the share of a kitchen is where several have more to be sent than there is time for: turns of " +
					"replays and snapshots, and deliveries to rooms of more than 32 screens. A kitchen with 4 gets as much of it as four " +
					"others. Nobody is slowed down where nobody waits.",
				kind: tenantWeights{},
			},
			{
				key: "limits.backlog_bytes", env: []string{"KENTONGAN_BACKLOG_BYTES"}, def: "1MiB", example: "4MiB",
				meaning: "What may wait for one slow connection. With more it is closed as slow, and resumes from its position. At " +
					"least as much as the largest publication.",
				kind: size{func(d *draft) *int { return &d.Limits.BacklogBytes }, 1 << 10, 256 << 20},
			},
		},
	}
}

func channelSection() section { //nolint:funlen // a table
	return section{
		title: "Channels and history",
		intro: "Which names belong to which kitchen, and what is kept for those who come back.",
		settings: append(historySettings(), []setting{
			{
				key: "history.tenant_bytes", env: []string{"KENTONGAN_MAX_TENANT_HISTORY_BYTES"}, def: "64MiB", example: "16MiB",
				meaning: "Bound of the history of one kitchen, which loses its oldest first. With Redis its largest channels do, and " +
					"by what Redis says that they take: a node looks when it has published a sixteenth of the bound to a kitchen, so " +
					"that for some seconds it may be a little more.",
				kind: size{func(d *draft) *int { return &d.Edge.TenantHistoryBytes }, 1 << 20, min(1<<40, math.MaxInt)},
			},
			{
				key: "channels.extend", def: "on", example: "off",
				meaning: "`on`: `channels.patterns` come after the default patterns, and one with the spelling of a default " +
					"replaces what that keeps. `off`: they are the only ones.",
				kind: toggle{func(d *draft) *bool { return &d.extend }},
			},
			{
				key: "channels.patterns", unset: "the default patterns alone", example: "orders:{tenant}:*",
				meaning: "Names in Redis: literal text, `{tenant}` for the kitchen (without it the channel is everybody's), `*` for " +
					"one free segment. " +
					"Each is a spelling, or a map of `spelling`, `history.size`, `history.age` and `snapshot`: the name of the " +
					"member by " +
					"which clients that were away for long get the newest of each, such as `productionId` (which " +
					"`production:updates:{tenant}` has), or `data.id`. `validation` and `schema` (a file with a JSON Schema, " +
					"beside this one) say how its publications are checked. A default pattern with neither history nor snapshot here " +
					"keeps its own.",
				kind: patternList{},
			},
			{
				key: "channels.validation", env: []string{"KENTONGAN_VALIDATION"}, def: "off", example: "report",
				meaning: "What happens to publications that do not fit the JSON Schema of their pattern. `off`: nobody looks. " +
					"`report`: they are counted and logged, and go on. `refuse`: they reach nobody; who publishes with plain `PUBLISH` " +
					"finds them in the quarantine. The default patterns have schemas, which `/asyncapi.json` shows; a pattern may have " +
					"its own `validation`.",
				kind: text{
					func(d *draft) *string { return (*string)(&d.Channels.Validation) }, "`off`, `report` or `refuse`", checkMode,
				},
			},
			{
				key: "channels.report_unmatched", env: []string{"KENTONGAN_REPORT_UNMATCHED"}, def: "on", example: "off",
				meaning: "Listen to every name in Redis, so that names that match no pattern are counted and listed. `off` listens " +
					"to the patterns alone: less traffic where other programs publish much.",
				kind: toggle{func(d *draft) *bool { return &d.Channels.ReportUnmatched }},
			},
			{
				key: "channels.money_fields", env: []string{"KENTONGAN_MONEY_FIELDS"}, unset: "nothing is left out",
				def:     "estimatedCost,actualCost,costPerPortion,costVariance,efficiencyScore,overallRating",
				example: "actualCost,totalPrice",
				meaning: "Names of members of JSON objects, however deep, that are left out for people whose role may not see " +
					"what things cost, in all channels and on every way to a client. `none`: everybody gets everything.",
				kind: texts{
					func(d *draft) *[]string { return &d.Channels.MoneyFields }, "names of A-Z a-z 0-9 _ -, or `none`", checkHiddenField,
				},
			},
			{
				key: "channels.intake_connections", env: []string{"KENTONGAN_INTAKE_CONNECTIONS"}, def: "2", example: "1",
				meaning: "Connections to Redis that hear plain `PUBLISH`, each of which is enough: the loss of one of two is no gap. " +
					"`1` saves the second one.",
				kind: count{func(d *draft) *int { return &d.Channels.IntakeConnections }, 1, 2},
			},
		}...),
	}
}

func historySettings() []setting {
	return []setting{
		{
			key: "history.size", env: []string{"KENTONGAN_HISTORY_SIZE"}, def: "500", example: "1000",
			meaning: "Publications that each channel keeps; 0 keeps none, and clients are told of a gap whenever the line was down.",
			kind:    count{func(d *draft) *int { return &d.history.size }, 0, maxHistorySize},
		},
		{
			key: "history.age", env: []string{"KENTONGAN_HISTORY_AGE"}, def: "24h", example: "6h",
			meaning: "How long they are kept.",
			kind:    duration{func(d *draft) *time.Duration { return &d.history.age }, minHistoryAge, maxHistoryAge},
		},
		{
			key: "history.memory_bytes", env: []string{"KENTONGAN_MAX_HISTORY_BYTES"}, def: "256MiB", example: "1GiB",
			meaning: "Memory engine only: bound of the history of all kitchens together. When it is reached, the kitchen that " +
				"holds the most loses its oldest first.",
			kind: size{func(d *draft) *int { return &d.Limits.HistoryBytes }, 1 << 20, min(1<<40, math.MaxInt)},
		},
	}
}
