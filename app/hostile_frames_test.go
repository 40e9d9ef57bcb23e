package app_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

const (
	offerV1      = "Sec-WebSocket-Protocol: kentongan.v1\r\n"
	offerDeflate = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
)

// closing is a close frame of a client.
func closing(code int, reason string) string {
	return frame(fin|opClose, string([]byte{byte(code >> 8), byte(code)})+reason)
}

// deflated compresses a message as RFC 7692 says.
func deflated(t *testing.T, message string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(message)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
}

// TestHostileFrames sends bytes that no WebSocket client may send, after a good handshake.
func TestHostileFrames(t *testing.T) {
	a := newArena(t)
	bomb := deflated(t, strings.Repeat("\x00", 63<<20))
	const zeros = "\x00\x00\x00\x00"
	type attack struct {
		name  string
		lines string
		send  string
		want  int
	}
	cases := []attack{
		{"Unmasked", "", "\x81\x02hi", 1002},
		{"UnmaskedPing", "", "\x89\x00", 1002},
		{"RSV1WithoutCompression", "", frame(fin|rsv1|opText, "{}"), 1002},
		{"RSV2", "", frame(fin|0x20|opText, "{}"), 1002},
		{"RSV3", "", frame(fin|0x10|opText, "{}"), 1002},
		{"RSV1OnPing", offerDeflate, frame(fin|rsv1|opPing, ""), 1002},
		{"RSV1OnContinuation", offerDeflate, frame(opText, "{") + frame(fin|rsv1, "}"), 1002},
		{"LongPing", "", frame(fin|opPing, strings.Repeat("x", 126)), 1002},
		{"FragmentedPing", "", frame(opPing, ""), 1002},
		{"FragmentedClose", "", frame(opClose, ""), 1002},
		{"LoneContinuation", "", frame(fin, "x"), 1002},
		{"NewMessageInsideAFragmentedOne", "", frame(opText, "{") + text("{}"), 1002},
		{"Length2to63", "", "\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00" + zeros, 1002},
		{"LengthOfOnesOnly", "", "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff" + zeros, 1002},
		{"Length2to40", "", "\x81\xff\x00\x00\x01\x00\x00\x00\x00\x00" + zeros, 1009},
		{"LengthAboveTheLimit", "", "\x81\xff\x00\x00\x00\x00\x00\x01\x00\x01" + zeros, 1009},
		{"LengthNotShortest16", "", "\x81\xfe\x00\x05" + zeros + "hello", 1002},
		{"LengthNotShortest64", "", "\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05" + zeros + "hello", 1002},
		{"InvalidUTF8", "", text("\xff"), 1007},
		{"Surrogate", "", text("\"\xed\xa0\x80\""), 1007},
		{"Overlong", "", text("\"\xc0\xaf\""), 1007},
		{"CutCharacter", "", text("\"\xe2\x82"), 1007},
		{"InvalidUTF8OverFragments", "", frame(opText, "\"\xe2\x82") + frame(fin, "\x28\""), 1007},
		{"InvalidUTF8InAFragmentThatIsNotTheLast", "", frame(opText, "\xff"), 1007},
		{"CloseOfOneByte", "", frame(fin|opClose, "\x03"), 1002},
		{"CloseReasonNotUTF8", "", closing(1000, "\xff"), 1007},
		{"CloseReasonTooLong", "", closing(1000, strings.Repeat("x", 124)), 1002},
		{"Binary", "", frame(fin|opBinary, "{}"), 1003},
		{"FragmentedBinary", "", frame(opBinary, "{") + frame(fin, "}"), 1003},
		{"MessageAboveTheLimit", "", frame(opText, strings.Repeat(" ", 40<<10)) + frame(fin, strings.Repeat(" ", 40<<10)), 1009},
		{"EndlessContinuations", "", frame(opText, "") + strings.Repeat(frame(0, strings.Repeat("x", 100)), 1000), 1009},
		{"EndlessEmptyFrames", "", frame(opText, "") + strings.Repeat(frame(0, ""), 5000), 1008},
		{"Bomb", offerDeflate, frame(fin|rsv1|opText, bomb), 1009},
		{"BombInFragments", offerDeflate, frame(rsv1|opText, bomb[:20_000]) + frame(0, bomb[20_000:40_000]) + frame(fin, bomb[40_000:]), 1009},
		{"CorruptDeflate", offerDeflate, frame(fin|rsv1|opText, "\xff\xff\xff\xff"), 1007},
		{"DeflatedInvalidUTF8", offerDeflate, frame(fin|rsv1|opText, deflated(t, "\xff")), 1007},
		{"ManyPings", "", strings.Repeat(frame(fin|opPing, "x"), 10_000), 4005},
		{"ManyMessages", "", strings.Repeat(text(`{"type":"ping"}`), 10_000), 4005},
		{"ManyMessagesV1", offerV1, strings.Repeat(text(`{"ping":{}}`), 10_000), 4005},
		{"HTTPAgain", "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002},
	}
	for _, opcode := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases, attack{fmt.Sprintf("Opcode%d", opcode), "", frame(fin|opcode, ""), 1002})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535} {
		cases = append(cases, attack{fmt.Sprintf("CloseCode%d", code), "", closing(code, ""), 1002})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				conn := a.upgrade(t, c.lines)
				defer conn.hangUp()
				conn.send(c.send)
				if got := conn.closeCode(); got != c.want {
					t.Errorf("closed with %d, want %d", got, c.want)
				}
			})
		})
	}

	t.Run("BombTakesLittleMemory", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			conn := a.upgrade(t, offerDeflate)
			defer conn.hangUp()
			send := frame(fin|rsv1|opText, bomb)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			conn.send(send)
			conn.closeCode()
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 2<<20 { // the limit is 64 KiB; the rest is this test and the neighbour
				t.Errorf("a bomb of 63 MiB made the process allocate %d bytes", grown)
			}
		})
	})

	t.Run("EveryByteApart", func(t *testing.T) {
		a.against(t, func(t *testing.T) {
			conn := a.upgrade(t, "")
			defer conn.hangUp()
			conn.send(strings.Split(frame(opText, `{"type":`)+frame(fin|opPing, "now")+frame(fin, `"ping"}`), "")...)
			op, payload := conn.frame()
			for op == ws.OpPing { // of the server, which a busy machine sees
				op, payload = conn.frame()
			}
			if op != ws.OpPong || payload != "now" {
				t.Errorf("opcode %d with %q, want the pong", op, payload)
			}
			if got := conn.text(); !strings.Contains(got, `"pong"`) {
				t.Errorf("reads %s, want the answer to the ping", got)
			}
		})
	})
}

// TestHostileGoodbyes leaves in every way that is allowed, and in some that are not.
func TestHostileGoodbyes(t *testing.T) {
	a := newArena(t)
	for _, c := range []struct {
		name string
		send string
		want int
	}{
		{"Normal", closing(1000, "bye"), 1000},
		{"GoingAway", closing(1001, ""), 1001},
		{"OwnCode", closing(4999, ""), 4999},
		{"NoCode", frame(fin|opClose, ""), 0},
		{"CloseThenMore", closing(1000, "") + strings.Repeat(text("{}"), 1000), 1000},
		{"CloseInsideAFragmentedMessage", frame(opText, "{") + closing(1000, ""), 1000},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				conn := a.upgrade(t, "")
				defer conn.hangUp()
				conn.send(c.send)
				if got := conn.closeCode(); got != c.want {
					t.Errorf("answered with %d, want %d", got, c.want)
				}
				if !conn.ends() {
					t.Error("the connection goes on after the closing handshake")
				}
			})
		})
	}
	for name, send := range map[string]string{
		"InTheHead": "\x81", "InTheLength": "\x81\xfe\x01", "InTheMask": "\x81\x85\x00", "InThePayload": "\x81\x85\x00\x00\x00\x00he",
		"InAMessage": frame(opText, "{"), "AtOnce": "",
	} {
		t.Run("HangsUp"+name, func(t *testing.T) {
			a.against(t, func(t *testing.T) {
				conn := a.upgrade(t, "")
				conn.send(send)
				conn.writers.Wait()
				conn.hangUp()
			})
		})
	}
}
