package wstest

import (
	"fmt"
	"strings"
)

// The close codes that the cases ask for.
const (
	protocolError  = 1002
	invalidPayload = 1007
	tooManyFrames  = 1008
	tooBig         = 1009
)

// opcodes is RFC 6455, section 5.2: which opcodes there are.
func opcodes(*Options) []Case {
	g := group{name: "opcodes"}
	g.talk("Text", echo(opText, "Hello"))
	g.talk("Binary", echo(opBinary, "\x00\x01\xfe\xff"))
	g.talk("TextAndBinary", talk{send: []string{frame(0x81, "a") + frame(0x82, "b") + frame(0x81, "c")}, want: []got{{opText, "a"}, {opBinary, "b"}, {opText, "c"}}})
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		g.talk(fmt.Sprintf("Reserved%d", op), fails(protocolError, frame(fin|op, "")))
		g.talk(fmt.Sprintf("Reserved%dBetweenMessages", op), talk{
			send: []string{frame(0x81, "a"), frame(fin|op, "x"), frame(0x81, "b")}, want: []got{{opText, "a"}}, ends: protocolError,
		})
	}
	return g.cases
}

// reserved is RFC 6455, section 5.2: the reserved bits.
func reserved(*Options) []Case {
	g := group{name: "reserved bits"}
	for bits := byte(1); bits < 8; bits++ {
		g.talk(fmt.Sprintf("Text%d", bits), fails(protocolError, frame(0x81|bits<<4, "a")))
	}
	g.talk("Binary", fails(protocolError, frame(0x82|0x20, "a")))
	g.talk("Continuation", fails(protocolError, frame(0x01, "a")+frame(0x80|0x40, "b")))
	g.talk("Ping", fails(protocolError, frame(0x89|0x10, "")))
	g.talk("Close", fails(protocolError, frame(0x88|0x40, "")))
	g.talk("AfterMessage", talk{send: []string{frame(0x81, "a"), frame(0xc1, "b")}, want: []got{{opText, "a"}}, ends: protocolError})
	return g.cases
}

// lengths is RFC 6455, section 5.2: payload lengths and their shortest form.
func lengths(*Options) []Case {
	g := group{name: "lengths"}
	for _, n := range []int{0, 1, 125, 126, 127, 128, 65535, 65536, 65537} {
		g.talk(fmt.Sprintf("Text%d", n), echo(opText, strings.Repeat("*", n)))
		g.talk(fmt.Sprintf("Binary%d", n), echo(opBinary, strings.Repeat("\xfe", n)))
	}
	for _, chop := range []int{1, 2, 3, 7, 997} {
		t := echo(opText, strings.Repeat("*", 65536/(1000/chop+1)))
		t.chop = chop
		g.talk(fmt.Sprintf("InWritesOf%d", chop), t)
	}
	for _, n := range []uint16{0, 1, 125} {
		g.talk(fmt.Sprintf("NotShortest16Of%d", n), fails(protocolError, head16(0x81, n)+strings.Repeat("x", int(n))))
	}
	for _, n := range []uint64{0, 125, 126, 65535} {
		g.talk(fmt.Sprintf("NotShortest64Of%d", n), fails(protocolError, head64(0x82, n)))
	}
	g.talk("NotShortestPing", fails(protocolError, head16(0x89, 5)+"12345"))
	g.talk("TopBit", fails(protocolError, head64(0x82, 1<<63)))
	g.talk("AllBits", fails(protocolError, head64(0x82, 1<<64-1)))
	return g.cases
}

// masks is RFC 6455, section 5.3.
func masks(*Options) []Case {
	g := group{name: "masks"}
	for name, b0 := range map[string]byte{"Text": 0x81, "Binary": 0x82, "Ping": 0x89, "Pong": 0x8a, "Close": 0x88} {
		g.talk("Unmasked"+name, fails(protocolError, head(b0, 0, 2)+"\x03\xe8"))
	}
	g.talk("UnmaskedContinuation", fails(protocolError, frame(0x01, "a")+head(0x80, 0, 1)+"b"))
	g.talk("UnmaskedAfterMessage", talk{send: []string{frame(0x81, "a") + head(0x81, 0, 1) + "b"}, want: []got{{opText, "a"}}, ends: protocolError})
	const text = "The quick brown fox jumps over the lazy dog, and over 31 others."
	for name, key := range map[string][4]byte{"ZeroKey": {}, "OnesKey": {255, 255, 255, 255}, "AsymmetricKey": {1, 2, 4, 8}} {
		g.talk(name, talk{send: []string{"\x81" + string([]byte{0x80 | byte(len(text))}) + string(key[:]) + masked(text, key)}, want: []got{{opText, text}}})
	}
	for n := range 9 {
		t := echo(opText, text[:40+n])
		t.chop = 5 + n
		g.talk(fmt.Sprintf("PhaseOf%d", n), t)
	}
	return g.cases
}

// fragments is RFC 6455, section 5.4.
func fragments(*Options) []Case {
	g := group{name: "fragments"}
	whole := []got{{opText, "fragmented"}}
	g.talk("Two", talk{send: []string{fragmented(opText, "fragmented", 5)}, want: whole})
	g.talk("EachByte", talk{send: []string{fragmented(opText, "fragmented", 1)}, want: whole})
	g.talk("EachByteInWritesOfOne", talk{send: []string{fragmented(opText, "fragmented", 1)}, chop: 1, want: whole})
	g.talk("Binary", talk{send: []string{fragmented(opBinary, "\xff\xfe", 1)}, want: []got{{opBinary, "\xff\xfe"}}})
	g.talk("EmptyFirst", talk{send: []string{frame(0x01, "") + frame(0x80, "fragmented")}, want: whole})
	g.talk("EmptyLast", talk{send: []string{frame(0x01, "fragmented") + frame(0x80, "")}, want: whole})
	g.talk("EmptyMiddle", talk{send: []string{frame(0x01, "frag") + frame(0x00, "") + frame(0x80, "mented")}, want: whole})
	g.talk("AllEmpty", talk{send: []string{frame(0x01, "") + frame(0x00, "") + frame(0x80, "")}, want: []got{{opText, ""}}})
	g.talk("PingBetween", talk{send: []string{frame(0x01, "frag") + frame(0x89, "p") + frame(0x80, "mented")}, want: []got{{opPong, "p"}, {opText, "fragmented"}}})
	g.talk("PingsBetweenInWritesOfOne", talk{
		send: []string{frame(0x01, "frag") + frame(0x89, "p") + frame(0x00, "ment") + frame(0x89, "q") + frame(0x80, "ed")}, chop: 1,
		want: []got{{opPong, "p"}, {opPong, "q"}, {opText, "fragmented"}},
	})
	g.talk("PongBetween", talk{send: []string{frame(0x01, "frag") + frame(0x8a, "p") + frame(0x80, "mented")}, want: whole})
	g.talk("TwoMessages", talk{send: []string{fragmented(opText, "fragmented", 3) + fragmented(opText, "fragmented", 4)}, want: []got{{opText, "fragmented"}, {opText, "fragmented"}}})
	g.talk("Large", talk{send: []string{fragmented(opBinary, strings.Repeat("x", 1<<20), 4096)}, want: []got{{opBinary, strings.Repeat("x", 1<<20)}}})
	for name, send := range map[string]string{
		"LoneContinuation":         frame(0x80, "a"),
		"LoneOpenContinuation":     frame(0x00, "a"),
		"TextInside":               frame(0x01, "a") + frame(0x81, "b"),
		"OpenTextInside":           frame(0x01, "a") + frame(0x01, "b"),
		"BinaryInside":             frame(0x01, "a") + frame(0x82, "b"),
		"TextInsideOfBinary":       frame(0x02, "a") + frame(0x81, "b"),
		"TextInsideAfterPing":      frame(0x01, "a") + frame(0x8a, "") + frame(0x81, "b"),
		"ContinuationAfterControl": frame(0x8a, "a") + frame(0x80, "b"),
	} {
		g.talk(name, fails(protocolError, send))
	}
	g.talk("ContinuationAfterMessage", talk{send: []string{frame(0x81, "a") + frame(0x80, "b")}, want: []got{{opText, "a"}}, ends: protocolError})
	g.talk("ContinuationAfterFragments", talk{send: []string{frame(0x01, "a") + frame(0x80, "b") + frame(0x80, "c")}, want: []got{{opText, "ab"}}, ends: protocolError})
	return g.cases
}

// controls is RFC 6455, section 5.5: pings and pongs.
func controls(*Options) []Case {
	g := group{name: "control frames"}
	for _, n := range []int{0, 1, 124, 125} {
		p := strings.Repeat("\xfd", n)
		g.talk(fmt.Sprintf("Ping%d", n), talk{send: []string{frame(0x89, p)}, want: []got{{opPong, p}}})
	}
	p := strings.Repeat("p", 125)
	g.talk("PingInWritesOfOne", talk{send: []string{frame(0x89, p)}, chop: 1, want: []got{{opPong, p}}})
	g.talk("TenPings", talk{send: []string{strings.Repeat(frame(0x89, "p"), 10)}, want: repeat(got{opPong, "p"}, 10)})
	g.talk("UnaskedPong", talk{send: []string{frame(0x8a, "") + frame(0x8a, "p") + frame(0x89, "q")}, want: []got{{opPong, "q"}}})
	g.talk("LongPing", fails(protocolError, frame(0x89, p+"p")))
	g.talk("LongPong", fails(protocolError, frame(0x8a, p+"p")))
	g.talk("LongClose", fails(protocolError, frame(0x88, closing(1000, p))))
	g.talk("LengthOf64Bits", fails(protocolError, head64(0x89, 70000)))
	g.talk("FragmentedPing", fails(protocolError, frame(0x09, "a")+frame(0x80, "b")))
	g.talk("FragmentedPong", fails(protocolError, frame(0x0a, "a")+frame(0x80, "b")))
	g.talk("FragmentedClose", fails(protocolError, frame(0x08, closing(1000, ""))))
	return g.cases
}

func repeat(g got, n int) []got {
	out := make([]got, n)
	for i := range out {
		out[i] = g
	}
	return out
}
