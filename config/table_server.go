package config

import (
	"slices"
	"time"
)

func serverSection() section {
	return section{
		title:    "Server",
		intro:    "Where and how HTTP is served.",
		settings: slices.Concat(listenSettings(), redisDoorSettings(), httpSettings()),
	}
}

func listenSettings() []setting {
	return []setting{
		{
			key: "server.listen", env: []string{"KENTONGAN_LISTEN"}, def: ":3001", example: "127.0.0.1:3001",
			meaning: "Public address: the page, REST, WebSocket, SSE.",
			kind:    text{func(d *draft) *string { return &d.Server.Listen }, "`host:port`", checkListen},
		},
		{
			key: "server.admin_listen", env: []string{"KENTONGAN_ADMIN_LISTEN"}, def: "127.0.0.1:3002", unset: "off",
			example: "127.0.0.1:9090",
			meaning: "Address of metrics, pprof and the connection list. On any other address than one of this machine " +
				"(127.0.0.1, ::1, localhost) it needs `KENTONGAN_ADMIN_TOKEN`. Never make it public.",
			kind: text{func(d *draft) *string { return &d.Server.AdminListen }, "`host:port` or `off`", checkAdminListen},
		},
		{
			key: "server.admin_token", env: []string{"KENTONGAN_ADMIN_TOKEN"}, unset: "nobody on this machine is asked",
			example: "a-token-of-24-random-bytes",
			meaning: "What the admin listener wants as `Authorization: Bearer TOKEN`, for everything but `/healthz` and `/readyz`.",
			kind:    secret{func(d *draft) *Secret { return &d.Server.AdminToken }, minSecretBytes},
		},
	}
}

func httpSettings() []setting {
	return []setting{
		{
			key: "server.public_url", env: []string{"KENTONGAN_PUBLIC_URL"}, unset: "the host of each request",
			example: "https://dapur.example.id",
			meaning: "How browsers reach the server: used in printed links and in the `wsUrl` of the connection info.",
			kind:    text{func(d *draft) *string { return &d.Server.PublicURL }, "http or https URL", checkPublicURL},
		},
		{
			key: "server.allowed_origins", env: []string{"KENTONGAN_ALLOWED_ORIGINS"}, unset: "pages of the same host only",
			example: "https://app.example.id,https://admin.example.id",
			meaning: "Origins whose pages may connect and write with the visitor's session, exactly: scheme, host, port.",
			kind:    texts{func(d *draft) *[]string { return &d.Server.AllowedOrigins }, "origins", checkOrigin},
		},
		{
			key: "server.tls_cert", env: []string{"KENTONGAN_TLS_CERT"}, unset: "no TLS", example: "/etc/kentongan/tls.crt",
			meaning: "PEM file with the certificate chain, when no proxy in front does TLS. Needs `KENTONGAN_TLS_KEY` too.",
			kind:    text{func(d *draft) *string { return &d.Server.TLSCert }, "path", checkFile},
		},
		{
			key: "server.tls_key", env: []string{"KENTONGAN_TLS_KEY"}, unset: "no TLS", example: "/etc/kentongan/tls.key",
			meaning: "PEM file with the private key. Needs `KENTONGAN_TLS_CERT` too.",
			kind:    text{func(d *draft) *string { return &d.Server.TLSKey }, "path", checkFile},
		},
		{
			key: "server.drain_time", env: []string{"KENTONGAN_DRAIN_TIME"}, def: "20s", example: "10s",
			meaning: "How long a stop may take: clients are told when to come back, and what is on its way is written. " +
				"Keep it below the time after which the supervisor kills (Docker 10s, Kubernetes 30s).",
			kind: duration{func(d *draft) *time.Duration { return &d.Server.DrainTime }, 0, 10 * time.Minute},
		},
		{
			key: "server.header_timeout", env: []string{"KENTONGAN_HEADER_TIMEOUT"}, def: "5s", example: "10s",
			meaning: "How long a client may take to send the header of a request, over HTTP/2 as well.",
			kind:    duration{func(d *draft) *time.Duration { return &d.Server.HeaderTimeout }, time.Second, 5 * time.Minute},
		},
		{
			key: "server.idle_timeout", env: []string{"KENTONGAN_IDLE_TIMEOUT"}, def: "75s", example: "2m",
			meaning: "How long a kept-alive HTTP connection stays open without a request. Longer than the proxy in front keeps " +
				"its side (nginx: 60s), " +
				"so that the proxy never writes into a closed one. WebSocket and SSE have the ping interval instead.",
			kind: duration{func(d *draft) *time.Duration { return &d.Server.IdleTimeout }, time.Second, time.Hour},
		},
	}
}

func redisDoorSettings() []setting {
	return []setting{
		{
			key: "server.redis_door", env: []string{"KENTONGAN_REDIS_DOOR"}, unset: "off", example: "127.0.0.1:6380",
			meaning: "Address of the door that speaks the Redis protocol: the app's own Redis client publishes there, with an API " +
				"key as its password, and is answered once the publication is stored. Without TLS: keep it in a private network.",
			kind: text{func(d *draft) *string { return &d.Server.RedisDoor }, "`host:port` or `off`", checkAdminListen},
		},
		{
			key: "server.redis_door_pass", env: []string{"KENTONGAN_REDIS_DOOR_PASS"}, unset: "nothing is passed on", example: "app",
			meaning: "Redis engine only: names of the API keys whose other commands that door passes on to the Redis behind this server, " +
				"so that one client of the app may publish and keep its cache. It reaches the keys of all kitchens there, but none that " +
				"begins with `kentongan:`. A key of one kitchen is only meant if it is written with it, `name@tenant`.",
			kind: texts{func(d *draft) *[]string { return &d.Server.DoorPass }, "names of API keys", checkKeyName},
		},
		{
			key: "server.redis_door_commands", env: []string{"KENTONGAN_REDIS_DOOR_COMMANDS"}, def: defaultCommands,
			example: "default,LPUSH,LRANGE",
			meaning: "Commands that are passed on. `default` stands for those that a cache needs; docs/protocol.md lists them, and what " +
				"else there is. Those that wait, run scripts, administer Redis or reach keys that they do not name are not.",
			kind: texts{func(d *draft) *[]string { return &d.Server.DoorCommands }, "names of commands", checkCommand},
		},
	}
}

func logSection() section {
	return section{
		title: "Log",
		intro: "Logs go to standard error.",
		settings: []setting{
			{
				key: "log.level", env: []string{"KENTONGAN_LOG_LEVEL"}, def: "info", example: "debug",
				meaning: "The least important lines that are written. `debug` has each message and each refused credential.",
				kind:    logLevel{},
			},
			{
				key: "log.format", env: []string{"KENTONGAN_LOG_FORMAT"}, def: "auto", example: "json",
				meaning: "`auto`: text on a terminal, JSON elsewhere.",
				kind:    text{func(d *draft) *string { return (*string)(&d.Log.Format) }, "`auto`, `text` or `json`", checkFormat},
			},
			{
				key: "log.access", env: []string{"KENTONGAN_ACCESS_LOG"}, def: "off", example: "errors",
				meaning: "A line for each request to the public listener, and for each WebSocket and event stream when it ends: route, " +
					"status, bytes, time, client, kitchen and user; never a path, a query or a credential. `errors`: only of those that " +
					"were refused or failed, or whose connection was closed for a fault. The lines have the level info, those of probes " +
					"debug.",
				kind: text{func(d *draft) *string { return (*string)(&d.Log.Access) }, "`off`, `errors` or `on`", checkAccess},
			},
		},
	}
}
