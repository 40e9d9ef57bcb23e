package wstest

import (
	"fmt"
	"strings"
)

// validText is text at the borders of what UTF-8 can say (Unicode, table 3-7).
var validText = []string{
	"κόσμε", "Dapur Sehat 🍚", "\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\u0fff", "\u1000", "\ud7ff", "\ue000", "\ufdd0", "\ufffd", "\ufffe", "\uffff",
	"\U00010000", "\U0003ffff", "\U00040000", "\U000fffff", "\U0010ffff", "\ufeffmark",
}

// invalidText can be no part of UTF-8.
var invalidText = []string{
	"\x80", "\xbf", "\x80\xbf", "\xc0\x80", "\xc0\xaf", "\xc1\xbf", "\xc2", "\xc2\x20", "\xc2\xc2\x80", "\xdf", "\xe0", "\xe0\x80\x80", "\xe0\x9f\xbf", "\xe0\xa0",
	"\xe1\x80", "\xe1\x80\x20", "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xef\xbf", "\xf0\x80\x80\x80",
	"\xf0\x8f\xbf\xbf", "\xf0\x90\x80", "\xf1\x80\x80\x20", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf7\xbf\xbf\xbf", "\xf8\x88\x80\x80\x80",
	"\xfc\x84\x80\x80\x80\x80", "\xfe", "\xff", "\xff\xfe",
}

// texts is RFC 6455, section 8.1: text is UTF-8.
func texts(*Options) []Case {
	g := group{name: "UTF-8"}
	for _, s := range validText {
		g.talk(fmt.Sprintf("Valid%x", s), echo(opText, s))
	}
	for _, s := range invalidText {
		g.talk(fmt.Sprintf("Invalid%x", s), fails(invalidPayload, frame(0x81, "ok"+s)))
	}
	const mixed = "a\u00a3\u20ac\U0001f35a."
	for at := range len(mixed) + 1 {
		split := frame(0x01, mixed[:at]) + frame(0x80, mixed[at:])
		g.talk(fmt.Sprintf("SplitAt%d", at), talk{send: []string{split}, want: []got{{opText, mixed}}})
	}
	g.talk("SplitEverywhereWithPings", talk{
		send: []string{frame(0x01, mixed[:2]), frame(0x89, ""), frame(0x00, mixed[2:8]), frame(0x89, ""), frame(0x80, mixed[8:])},
		want: []got{{opPong, ""}, {opPong, ""}, {opText, mixed}},
	})
	t := echo(opText, mixed)
	t.chop = 1
	g.talk("InWritesOfOne", t)
	g.talk("BinaryMayBeAnything", echo(opBinary, "\xc0\x80\xff"))
	for name, send := range map[string]string{
		"InvalidOverFragments":     frame(0x01, "ok\xe1") + frame(0x80, "\x20\x80"),
		"IncompleteAtEnd":          frame(0x81, "ok\xf0\x9f\x8d"),
		"IncompleteAtLastFragment": frame(0x01, "ok\xf0\x9f") + frame(0x80, ""),
		"IncompleteBeforeMessage":  frame(0x01, "\xe2") + frame(0x00, "\x82") + frame(0x80, "x"),

		// What follows never comes: the server must not wait for it.
		"FailFastInFirstFragment":  frame(0x01, "ok\xff"),
		"FailFastInSecondFragment": frame(0x01, "ok") + frame(0x00, "\xc0"),
		"FailFastOverFragments":    frame(0x01, "ok\xf4") + frame(0x00, "\x90"),
		"FailFastInsideOfFrame":    head(0x81, 0x80, 100) + masked("ok\xff", maskKey),
		"FailFastImpossibleRune":   head(0x81, 0x80, 100) + masked("\xed\xa0", maskKey),
		"FailFastInLongFrame":      head(0x81, 0x80, 1<<20) + masked(strings.Repeat("é", 5000)+"\xfe", maskKey),
	} {
		g.talk(name, fails(invalidPayload, send))
	}
	return g.cases
}

// closes is RFC 6455, sections 5.5.1 and 7.
func closes(*Options) []Case {
	g := group{name: "close"}
	closed := func(code int, send string) talk { return talk{send: []string{send}, ends: code, ours: true} }
	g.talk("Empty", closed(noCode, frame(0x88, "")))
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		g.talk(fmt.Sprintf("Code%d", code), closed(code, frame(0x88, closing(code, ""))))
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		g.talk(fmt.Sprintf("BadCode%d", code), closed(protocolError, frame(0x88, closing(code, ""))))
	}
	g.talk("OneByte", closed(protocolError, frame(0x88, "\x03")))
	g.talk("Reason", closed(1000, frame(0x88, closing(1000, "selesai, terima kasih 🍚"))))
	g.talk("LongestReason", closed(1000, frame(0x88, closing(1000, strings.Repeat("r", 123)))))
	g.talk("ReasonNotUTF8", closed(invalidPayload, frame(0x88, closing(1000, "ok\xc0\x80"))))
	g.talk("ReasonIncomplete", closed(invalidPayload, frame(0x88, closing(1000, "ok\xe2\x82"))))
	g.talk("TextAfterClose", closed(1000, frame(0x88, closing(1000, ""))+frame(0x81, "late")))
	g.talk("PingAfterClose", closed(1000, frame(0x88, closing(1000, ""))+frame(0x89, "late")))
	g.talk("GarbageAfterClose", closed(1000, frame(0x88, closing(1000, ""))+strings.Repeat("\xff", 1000)))
	g.talk("CloseAfterClose", closed(1000, frame(0x88, closing(1000, ""))+frame(0x88, closing(4000, ""))))
	g.talk("CloseInsideOfMessage", closed(1000, frame(0x01, "half")+frame(0x88, closing(1000, ""))))
	g.talk("CloseThenContinuation", closed(1000, frame(0x01, "half")+frame(0x88, closing(1000, ""))+frame(0x80, "rest")))
	inOnes := closed(1000, frame(0x88, closing(1000, "bye")))
	inOnes.chop = 1
	g.talk("InWritesOfOne", inOnes)
	after := closed(1000, frame(0x81, "a")+frame(0x88, closing(1000, "")))
	after.want = []got{{opText, "a"}}
	g.talk("EchoBeforeClose", after)
	return g.cases
}

// limits are what the server promises of itself (RFC 6455, section 10.4).
func limits(o *Options) []Case {
	g := group{name: "limits"}
	large := strings.Repeat("0123456789abcdef", o.MaxMessage/16)
	g.talk("LargestText", echo(opText, large))
	g.talk("LargestInFragments", talk{send: []string{fragmented(opBinary, large, 64<<10)}, want: []got{{opBinary, large}}})
	inPieces := echo(opBinary, large)
	inPieces.chop = 100_003
	g.talk("LargestInPieces", inPieces)
	// The header alone is sent: a server that waits for the payload has believed it.
	g.talk("OneMore", fails(tooBig, head(0x82, 0x80, o.MaxMessage+1)))
	g.talk("OneMoreInFragments", fails(tooBig, frame(0x02, large)+head(0x80, 0x80, 1)))
	for _, shift := range []uint{32, 40, 62} {
		g.talk(fmt.Sprintf("Length2To%d", shift), fails(tooBig, head64(0x82, 1<<shift)))
	}
	g.talk("Length2To63Minus1", fails(tooBig, head64(0x82, 1<<63-1)))
	g.talk("MostFrames", talk{send: []string{fragmented(opText, strings.Repeat("f", o.MaxFrames), 1)}, want: []got{{opText, strings.Repeat("f", o.MaxFrames)}}})
	g.talk("OneFrameMore", fails(tooManyFrames, frame(0x01, "")+strings.Repeat(frame(0x00, ""), o.MaxFrames)))
	return g.cases
}
