package wstest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// handshakes is RFC 6455, section 4.2.
func handshakes(o *Options) []Case {
	g := group{name: "handshake"}
	good := request(o, "")
	accepted := map[string]func(string) string{
		"Plain":                 func(r string) string { return r },
		"UpgradeInOtherCase":    replace("Upgrade: websocket", "Upgrade: WebSocket"),
		"ConnectionInOtherCase": replace("Connection: Upgrade", "connection: upgrade"),
		"ConnectionList":        replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
		"UpgradeList":           replace("Upgrade: websocket", "Upgrade: h2c, websocket"),
		"NamesInUpperCase":      replace("Sec-WebSocket-Key", "SEC-WEBSOCKET-KEY"),
		"SpaceAroundVersion":    replace("Version: 13", "Version:  13 "),
		"UnknownHeader":         replace("\r\n\r\n", "\r\nX-Unknown: 1\r\n\r\n"),
		"Query":                 replace("GET "+o.Path, "GET "+o.Path+"?a=b"),
	}
	for _, name := range sorted(accepted) {
		raw := accepted[name](good)
		g.add(name, func(o *Options) error {
			c, res, err := send(o, raw)
			if err != nil {
				return err
			}
			defer c.hangUp()
			if res.header.Get("Sec-WebSocket-Protocol") != "" || res.header.Get("Sec-WebSocket-Extensions") != "" {
				return fmt.Errorf("the server chose what nobody offered: %v", res.header)
			}
			return checkAccepted(res)
		})
	}
	g.refusals(good)
	g.subprotocols()
	return g.cases
}

// refusals are handshakes that must be answered with an HTTP status.
func (g *group) refusals(good string) {
	refused := map[string]struct {
		change func(string) string
		status []int
	}{
		"POST":              {replace("GET ", "POST "), []int{405}},
		"HTTP10":            {replace("HTTP/1.1", "HTTP/1.0"), []int{400, 426}},
		"NoUpgrade":         {replace("Upgrade: websocket\r\n", ""), []int{426}},
		"OtherUpgrade":      {replace("Upgrade: websocket", "Upgrade: h2c"), []int{426}},
		"NoConnection":      {replace("Connection: Upgrade\r\n", ""), []int{400, 426}},
		"OtherConnection":   {replace("Connection: Upgrade", "Connection: keep-alive"), []int{400, 426}},
		"NoVersion":         {replace("Sec-WebSocket-Version: 13\r\n", ""), []int{400, 426}},
		"Version8":          {replace("Version: 13", "Version: 8"), []int{426}},
		"Version14":         {replace("Version: 13", "Version: 14"), []int{426}},
		"VersionNoNumber":   {replace("Version: 13", "Version: new"), []int{400, 426}},
		"TwoVersions":       {replace("\r\n\r\n", "\r\nSec-WebSocket-Version: 8\r\n\r\n"), []int{400, 426}},
		"NoKey":             {replace("Sec-WebSocket-Key: "+clientKey+"\r\n", ""), []int{400}},
		"EmptyKey":          {replace(clientKey, ""), []int{400}},
		"ShortKey":          {replace(clientKey, "c2hvcnQ="), []int{400}},
		"LongKey":           {replace(clientKey, "dGhlIHNhbXBsZSBub25jZSBpcyBsb25n"), []int{400}},
		"KeyOfSeventeen":    {replace(clientKey, "dGhlIHNhbXBsZSBub25jZTE="), []int{400}},
		"KeyNotBase64":      {replace(clientKey, "!!!!!!!!!!!!!!!!!!!!!!=="), []int{400}},
		"KeyWithoutPadding": {replace(clientKey, strings.TrimRight(clientKey, "=")), []int{400}},
		"TwoKeys":           {replace("\r\n\r\n", "\r\nSec-WebSocket-Key: "+clientKey+"\r\n\r\n"), []int{400}},
		"ContentLength":     {replace("\r\n\r\n", "\r\nContent-Length: 5\r\n\r\nhello"), []int{400}},
		"ChunkedBody":       {replace("\r\n\r\n", "\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), []int{400}},
		"NoHost": {func(r string) string {
			at := strings.Index(r, "Host:")
			return r[:at] + r[at+strings.Index(r[at:], "\n")+1:]
		}, []int{400}},
		"SpaceInHeaderName":  {replace("Upgrade: websocket", "Upgrade : websocket"), []int{400, 426}},
		"NulInHeader":        {replace("\r\n\r\n", "\r\nX-Nul: a\x00b\r\n\r\n"), []int{400}},
		"SpaceInRequestLine": {replace(" HTTP/1.1", " x HTTP/1.1"), []int{400}},
	}
	for _, name := range sorted(refused) {
		want := refused[name]
		raw := want.change(good)
		g.add(name, func(o *Options) error {
			c, res, err := send(o, raw)
			if err != nil {
				return err
			}
			defer c.hangUp()
			if !slices.Contains(want.status, res.status) {
				return fmt.Errorf("got status %d, want one of %v", res.status, want.status)
			}
			return checkRefused(res, name)
		})
	}
}

// checkRefused checks the fields that go with a status (RFC 9110, sections 15.5.6 and 15.5.22; RFC 6455, section 4.4).
func checkRefused(res *answer, name string) error {
	switch {
	case res.status == http.StatusMethodNotAllowed && res.header.Get("Allow") == "":
		return errors.New("405 without Allow")
	case res.status == http.StatusUpgradeRequired && res.header.Get("Upgrade") == "":
		return errors.New("426 without Upgrade")
	case strings.HasPrefix(name, "Version1") && res.header.Get("Sec-WebSocket-Version") != "13":
		return errors.New("a refused version without Sec-WebSocket-Version: 13")
	}
	return nil
}

func (g *group) subprotocols() {
	for name, tt := range map[string]struct {
		offer func(spoken string) string
		want  bool
	}{
		"Subprotocol":            {func(s string) string { return s }, true},
		"SubprotocolInList":      {func(s string) string { return "other," + s + " , more" }, true},
		"SubprotocolOnTwoLines":  {func(s string) string { return "other\r\nSec-WebSocket-Protocol: " + s }, true},
		"UnknownSubprotocol":     {func(s string) string { return "x" + s }, false},
		"SubprotocolInOtherCase": {strings.ToUpper, false},
	} {
		g.add(name, func(o *Options) error {
			c, res, err := send(o, request(o, "Sec-WebSocket-Protocol: "+tt.offer(o.Protocol)+"\r\n"))
			if err != nil {
				return err
			}
			defer c.hangUp()
			want := ""
			if tt.want {
				want = o.Protocol
			}
			if got := res.header.Get("Sec-WebSocket-Protocol"); got != want {
				return fmt.Errorf("got the subprotocol %q, want %q", got, want)
			}
			return checkAccepted(res)
		})
	}
}

func replace(before, after string) func(string) string {
	return func(r string) string {
		if !strings.Contains(r, before) {
			panic("wstest: the request has no " + before)
		}
		return strings.Replace(r, before, after, 1)
	}
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
