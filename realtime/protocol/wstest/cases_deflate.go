package wstest

import (
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"strings"
)

const deflateOffer = "permessage-deflate"

// extensions is RFC 7692, section 7.1: the negotiation.
func extensions(*Options) []Case {
	g := group{name: "extensions"}
	for name, tt := range map[string]struct {
		offer string
		taken bool
	}{
		"Plain":                     {"permessage-deflate", true},
		"ClientWindow":              {"permessage-deflate; client_max_window_bits", true},
		"ClientWindow8":             {"permessage-deflate; client_max_window_bits=8", true},
		"ClientWindow15":            {"permessage-deflate; client_max_window_bits=15", true},
		"ClientWindowQuoted":        {`permessage-deflate; client_max_window_bits="12"`, true},
		"ServerNoTakeover":          {"permessage-deflate; server_no_context_takeover", true},
		"ClientNoTakeover":          {"permessage-deflate; client_no_context_takeover", true},
		"NoTakeover":                {"permessage-deflate;server_no_context_takeover;client_no_context_takeover", true},
		"ServerWindow15":            {"permessage-deflate; server_max_window_bits=15", true},
		"All":                       {"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15; client_max_window_bits=10", true},
		"SecondOffer":               {"permessage-deflate; unknown, permessage-deflate", true},
		"SecondOfferAfterOther":     {"x-other; a=1, permessage-deflate; client_max_window_bits", true},
		"FallBackFromServerWindow":  {"permessage-deflate; server_max_window_bits=9, permessage-deflate", true},
		"Other":                     {"x-other", false},
		"UnknownParameter":          {"permessage-deflate; unknown", false},
		"UnknownParameterWithValue": {"permessage-deflate; unknown=1", false},
		"TakeoverWithValue":         {"permessage-deflate; server_no_context_takeover=true", false},
		"ParameterTwice":            {"permessage-deflate; client_max_window_bits=10; client_max_window_bits=10", false},
		"TakeoverTwice":             {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", false},
		"ServerWindowWithoutValue":  {"permessage-deflate; server_max_window_bits", false},
		"ServerWindow7":             {"permessage-deflate; server_max_window_bits=7", false},
		"ServerWindow16":            {"permessage-deflate; server_max_window_bits=16", false},
		"ClientWindow7":             {"permessage-deflate; client_max_window_bits=7", false},
		"ClientWindow16":            {"permessage-deflate; client_max_window_bits=16", false},
		"ClientWindowLeadingZero":   {"permessage-deflate; client_max_window_bits=010", false},
		"ClientWindowNegative":      {"permessage-deflate; client_max_window_bits=-10", false},
		"ClientWindowWord":          {"permessage-deflate; client_max_window_bits=ten", false},
		"HundredBadOffers":          {strings.Repeat("permessage-deflate; unknown, ", 99) + "x-other", false},
	} {
		g.add(name, func(o *Options) error { return negotiate(o, tt.offer, tt.taken) })
	}
	return g.cases
}

// negotiate makes an offer, checks that the answer is one to it, and that messages come through either way.
func negotiate(o *Options, offer string, taken bool) error {
	c, res, err := open(o, offer)
	if err != nil {
		return err
	}
	c.hangUp()
	answer := res.header.Get("Sec-WebSocket-Extensions")
	if (answer != "") != (taken && o.Deflate) {
		return fmt.Errorf("the server answered %q to %q", answer, offer)
	}
	for i, param := range strings.Split(answer, ";") {
		param = strings.TrimSpace(param)
		name, value, _ := strings.Cut(param, "=")
		switch {
		case answer == "" || i == 0 && param == deflateOffer:
		case param == "server_no_context_takeover", param == "client_no_context_takeover":
		case name == "server_max_window_bits" && strings.Contains(offer, param):
		case name == "client_max_window_bits" && value != "" && strings.Contains(offer, name):
		default:
			return fmt.Errorf("the server answered with %q, which does not fit the offer %q", param, offer)
		}
	}
	if strings.Contains(answer, deflateOffer) && strings.Contains(offer, "server_no_context_takeover") && !strings.Contains(answer, "server_no_context_takeover") {
		return fmt.Errorf("the server took the offer without server_no_context_takeover: %q", answer)
	}
	t := echo(opText, "after the negotiation")
	t.offer = offer
	return t.run(o)
}

// compression is RFC 7692, sections 6 and 7.2.
func compression(o *Options) []Case {
	if !o.Deflate {
		return nil
	}
	g := group{name: "compression"}
	with := func(name string, t talk) {
		t.offer = deflateOffer
		g.talk(name, t)
	}
	text := func(payload, want string) talk {
		return talk{send: []string{frame(0xc1, payload)}, want: []got{{opText, want}}}
	}
	const hello = "\xf2\x48\xcd\xc9\xc9\x07\x00" // the examples of RFC 7692, section 7.2.3
	with("Hello", text(hello, "Hello"))
	with("HelloInFragments", talk{send: []string{frame(0x41, hello[:3]) + frame(0x80, hello[3:])}, want: []got{{opText, "Hello"}}})
	with("HelloStored", text("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello"))
	with("HelloFinalBlock", text("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello"))
	with("HelloTwoBlocks", text("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello"))
	with("EmptyMessage", text("\x00", ""))
	with("Uncompressed", talk{send: []string{frame(0x81, "plain")}, want: []got{{opText, "plain"}}})
	with("Mixed", talk{send: []string{frame(0x81, "plain") + frame(0xc1, hello) + frame(0x82, "\xff")}, want: []got{{opText, "plain"}, {opText, "Hello"}, {opBinary, "\xff"}}})
	with("PingBetweenFragments", talk{send: []string{frame(0x41, hello[:3]) + frame(0x89, "p") + frame(0x80, hello[3:])}, want: []got{{opPong, "p"}, {opText, "Hello"}}})
	with("EmptyFragments", talk{send: []string{frame(0x41, "") + frame(0x00, hello) + frame(0x80, "")}, want: []got{{opText, "Hello"}}})
	inOnes := text(hello, "Hello")
	inOnes.chop = 1
	with("InWritesOfOne", inOnes)
	with("ManyMessages", talk{send: []string{strings.Repeat(frame(0xc1, hello), 100)}, want: repeat(got{opText, "Hello"}, 100)})
	with("UTF8SplitInsideOfRune", talk{send: []string{fragmented(rsv1|opText, deflated("a\u00a3\u20ac\U0001f35a", flate.HuffmanOnly), 1)}, want: []got{{opText, "a\u00a3\u20ac\U0001f35a"}}})
	g.compressedSizes(o)
	bomb := deflatedTimes(strings.Repeat("\x00", 1<<20), o.MaxMessage>>20+1)
	for name, tt := range map[string]struct {
		send string
		code int
	}{
		"RSV1OnContinuation":  {frame(0x41, hello[:3]) + frame(0xc0, hello[3:]), protocolError},
		"RSV1OnPing":          {frame(0xc9, ""), protocolError},
		"RSV1OnClose":         {frame(0xc8, ""), protocolError},
		"RSV2":                {frame(0xa1, "a"), protocolError},
		"RSV1AndRSV3":         {frame(0xd1, hello), protocolError},
		"RSV1LaterInMessage":  {frame(0x01, "a") + frame(0xc0, "b"), protocolError},
		"Corrupt":             {frame(0xc1, "\xff\xff\xff\xff"), invalidPayload},
		"CutShort":            {frame(0xc1, hello[:3]), invalidPayload},
		"StoredLengthsDiffer": {frame(0xc1, "\x00\x05\x00\x00\x00Hello\x00"), invalidPayload},
		"ReferenceBeforeIt":   {frame(0xc1, referring("a text of some length", 1000)), invalidPayload},
		"NotUTF8":             {frame(0xc1, deflated("ok\xc0\x80", flate.BestSpeed)), invalidPayload},
		"Bomb":                {frame(0xc2, bomb), tooBig},
		"BombInFragments":     {fragmented(rsv1|opBinary, bomb, 1024), tooBig},
		"DeclaredTooLong":     {head64(0xc2, 1<<40), tooBig},
	} {
		with(name, fails(tt.code, tt.send))
	}
	return g.cases
}

// compressedSizes are messages of all sizes, of all levels of a compressor, whole and in fragments.
func (g *group) compressedSizes(o *Options) {
	noise := make([]byte, 64<<10)
	chance := rand.New(rand.NewPCG(1, 2)) // the same noise each time
	for i := range noise {
		noise[i] = byte(chance.Uint32())
	}
	add := func(name string, op byte, message string, level, fragment int) {
		send := fragmented(rsv1|op, deflated(message, level), fragment)
		g.talk(name, talk{offer: deflateOffer, send: []string{send}, want: []got{{op, message}}})
	}
	const line = `{"type":"production_update","data":{"status":"COOKING","portions":300}}` + "\n"
	for _, n := range []int{1, 64, 1024, 32 << 10, 64 << 10, 1 << 20} {
		text := strings.Repeat(line, n/len(line)+1)[:n]
		add(fmt.Sprintf("Text%d", n), opText, text, flate.DefaultCompression, 1<<30)
		add(fmt.Sprintf("Text%dInFragments", n), opText, text, flate.DefaultCompression, max(1, n/200))
	}
	for _, level := range []int{flate.HuffmanOnly, flate.NoCompression, flate.BestSpeed, flate.BestCompression} {
		add(fmt.Sprintf("Level%d", level), opText, strings.Repeat(line, 1000), level, 1<<30)
		add(fmt.Sprintf("NoiseOfLevel%d", level), opBinary, string(noise), level, 4096)
	}
	mebi := strings.Repeat("0123456789abcdef", 1<<16)
	largest := frame(fin|rsv1|opBinary, deflatedTimes(mebi, o.MaxMessage>>20))
	g.talk("Largest", talk{offer: deflateOffer, send: []string{largest}, want: []got{{opBinary, strings.Repeat(mebi, o.MaxMessage>>20)}}})
}
