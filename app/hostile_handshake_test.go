package app_test

import (
	"net/http"
	"strings"
	"testing"
)

// TestHostileHandshakes changes one thing in a good handshake each time.
func TestHostileHandshakes(t *testing.T) {
	a := newArena(t)
	const (
		key     = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
		version = "Sec-WebSocket-Version: 13\r\n"
		origin  = "Origin: http://{host}\r\n"
		host    = "Host: {host}\r\n"
		end     = "{cookie}"
	)
	for _, c := range []struct {
		name    string
		replace []string
		want    int
	}{
		{"Good", nil, 101},
		{"Post", []string{"GET ", "POST "}, 405},
		{"Put", []string{"GET ", "PUT "}, 405},
		{"Connect", []string{"GET /api/ws", "CONNECT {host}"}, 404},
		{"HTTP10", []string{"HTTP/1.1", "HTTP/1.0"}, 426},
		{"NoUpgrade", []string{"Upgrade: websocket\r\n", ""}, 426},
		{"UpgradeToElse", []string{"Upgrade: websocket\r\n", "Upgrade: h2c\r\n"}, 426},
		{"NoConnection", []string{"Connection: Upgrade\r\n", ""}, 426},
		{"ConnectionClose", []string{"Connection: Upgrade\r\n", "Connection: close\r\n"}, 426},
		{"NoKey", []string{key, ""}, 400},
		{"EmptyKey", []string{key, "Sec-WebSocket-Key:\r\n"}, 400},
		{"ShortKey", []string{key, "Sec-WebSocket-Key: c2hvcnQ=\r\n"}, 400},
		{"LongKey", []string{key, "Sec-WebSocket-Key: " + strings.Repeat("A", 1000) + "\r\n"}, 400},
		{"KeyNotBase64", []string{key, "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n"}, 400},
		{"TwoKeys", []string{key, key + "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"}, 400},
		{"SameKeyTwice", []string{key, key + key}, 400},
		{"Version8", []string{version, "Sec-WebSocket-Version: 8\r\n"}, 426},
		{"NoVersion", []string{version, ""}, 426},
		{"TwoVersions", []string{version, version + "Sec-WebSocket-Version: 8\r\n"}, 426},
		{"VersionInWords", []string{version, "Sec-WebSocket-Version: thirteen\r\n"}, 426},

		{"ForeignOrigin", []string{origin, "Origin: https://evil.example\r\n"}, 403},
		{"NullOrigin", []string{origin, "Origin: null\r\n"}, 403},
		{"EmptyOrigin", []string{origin, "Origin:\r\n"}, 403},
		{"OriginAsSuffix", []string{origin, "Origin: http://evil-{host}\r\n"}, 403},
		{"OriginAsPrefix", []string{origin, "Origin: http://{host}.evil.example\r\n"}, 403},
		{"OriginAsSubdomain", []string{origin, "Origin: http://{host}:80.evil.example\r\n"}, 403},
		{"OtherPort", []string{origin, "Origin: http://127.0.0.1:1\r\n"}, 403},
		{"NoPort", []string{origin, "Origin: http://127.0.0.1\r\n"}, 403},
		{"OtherScheme", []string{origin, "Origin: ws://{host}\r\n"}, 403},
		{"FileScheme", []string{origin, "Origin: file://\r\n"}, 403},
		{"Userinfo", []string{origin, "Origin: http://{host}@evil.example\r\n"}, 403},
		{"OwnUserinfo", []string{origin, "Origin: http://user@{host}\r\n"}, 403},
		{"TrailingDot", []string{origin, "Origin: http://127.0.0.1.:3001\r\n"}, 403},
		{"OriginWithPath", []string{origin, "Origin: http://{host}/\r\n"}, 403},
		{"NumberedHost", []string{origin, "Origin: http://2130706433:3001\r\n"}, 403},
		{"TwoOrigins", []string{origin, origin + "Origin: https://evil.example\r\n"}, 403},
		{"OriginList", []string{origin, "Origin: http://{host} https://evil.example\r\n"}, 403},
		{"CookieWithoutOrigin", []string{origin, ""}, 403},
		{"CookieWithFetchSiteOnly", []string{origin, "Sec-Fetch-Site: same-origin\r\n"}, 403},

		{"NoHost", []string{host, ""}, 400},
		{"TwoHosts", []string{host, host + "Host: evil.example\r\n"}, 400},
		{"HostWithSpace", []string{host, "Host: a b\r\n"}, 400},
		{"LengthAndChunked", []string{end, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n{cookie}"}, 400},
		{"Chunked", []string{end, "Transfer-Encoding: chunked\r\n{cookie}"}, 400},
		{"Body", []string{end, "Content-Length: 4\r\n{cookie}"}, 400},
		{"TwoLengths", []string{end, "Content-Length: 4\r\nContent-Length: 5\r\n{cookie}"}, 400},
		{"NegativeLength", []string{end, "Content-Length: -1\r\n{cookie}"}, 400},
		{"UnknownEncoding", []string{end, "Transfer-Encoding: gzip\r\n{cookie}"}, 501},
		{"BareLineFeed", []string{"Connection: Upgrade\r\n", "Connection: Upgrade\n"}, 400},
		{"BareCarriageReturn", []string{"Connection: Upgrade\r\n", "Connection: Upgrade\r"}, 400},
		{"FoldedHeader", []string{"Upgrade: websocket\r\n", "Upgrade:\r\n websocket\r\n"}, 400},
		{"SpaceBeforeColon", []string{"Upgrade: websocket", "Upgrade : websocket"}, 400},
		{"NULInHeader", []string{end, "X: a\x00b\r\n{cookie}"}, 400},
		{"NoColon", []string{end, "nonsense\r\n{cookie}"}, 400},
		{"RequestLineOnly", []string{"GET /api/ws HTTP/1.1\r\n", "GET\r\n"}, 400},
		{"HTTP2Preface", []string{"GET /api/ws HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n"}, 400},
		{"HTTP9", []string{"HTTP/1.1", "HTTP/9.9"}, 505},

		{"Head64K", []string{end, "X: " + strings.Repeat("x", 64<<10) + "\r\n{cookie}"}, 431},
		{"Head2M", []string{end, "X: " + strings.Repeat("x", 2<<20) + "\r\n{cookie}"}, 431},
		{"Lines5000", []string{end, strings.Repeat("X: y\r\n", 5000) + "{cookie}"}, 431},
		{"Lines1000Short", []string{end, strings.Repeat("X:\r\n", 1000) + "{cookie}"}, 431},
		{"Line64K", []string{"/api/ws", "/api/ws?x=" + strings.Repeat("x", 64<<10)}, 431},

		{"EncodedSlash", []string{"/api/ws", "/api%2fws"}, 404},
		{"DotDot", []string{"/api/ws", "/api/../api/ws"}, 404},
		{"EncodedDotDot", []string{"/api/ws", "/api/%2e%2e/api/ws"}, 404},
		{"DoubleSlash", []string{"/api/ws", "//api/ws"}, 404},
		{"DotDotOut", []string{"/api/ws", "/../../etc/passwd"}, 404},
		{"NULInPath", []string{"/api/ws", "/api/ws%00"}, 404},
		{"RawNULInPath", []string{"/api/ws", "/api/ws\x00"}, 400},
		{"BadEscape", []string{"/api/ws", "/api/ws%zz"}, 400},
		{"SlashBehind", []string{"/api/ws", "/api/ws/"}, 404},
		{"NoPath", []string{"/api/ws", "api/ws"}, 400},

		{"BadCompressionOffer", []string{end, "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n{cookie}"}, 101},
		{"CompressionOfferUnreadable", []string{end, "Sec-WebSocket-Extensions: ;;;=,\"\r\n{cookie}"}, 101},
		{"HundredCompressionOffers", []string{end, "Sec-WebSocket-Extensions: " + strings.Repeat("permessage-deflate, ", 99) + "permessage-deflate\r\n{cookie}"}, 101},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				request := a.fill(goodUpgrade, c.replace...)
				conn := a.connect(t)
				defer func() { conn.hangUp() }()
				conn.send(request)
				status, header, body := conn.answer()
				// Whoever still sends when the server closes may lose the answer on the way: TCP takes it back. A quick reader has it before.
				for tries := 0; status == 0 && len(request) > 1<<20 && tries < 10; tries++ {
					conn.hangUp()
					conn = a.connect(t)
					conn.send(request)
					status, header, body = conn.answer()
				}
				if status != c.want {
					t.Fatalf("answered %d %.200s, want %d", status, body, c.want)
				}
				switch {
				case status == http.StatusSwitchingProtocols:
					if ext := header.Get("Sec-WebSocket-Extensions"); ext != "" {
						t.Errorf("agreed to %q", ext)
					}
				case status == http.StatusUpgradeRequired && header.Get("Upgrade") == "" && header.Get("Sec-WebSocket-Version") != "13":
					t.Errorf("a 426 without what would be right: %v", header)
				case status == http.StatusForbidden, status == http.StatusNotFound:
					// understood and refused: the connection may serve the next request
				case !conn.ends():
					t.Error("the connection goes on after a broken request")
				}
			})
		})
	}
}
