package clientip_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"kentongan/internal/clientip"
)

const signature = "\r\n\r\n\x00\r\nQUIT\n"

// two makes a header of version 2.
func two(versionAndCommand, family byte, body string) string {
	return signature + string([]byte{versionAndCommand, family}) + string(binary.BigEndian.AppendUint16(nil, uint16(len(body)))) + body
}

func TestParseHeader(t *testing.T) {
	four := "\xc0\x00\x02\x01\xc0\x00\x02\x02\x13\x88\x01\xbb"
	six := strings.Repeat("\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", 2) + "\x13\x88\x01\xbb"
	for name, c := range map[string]struct{ head, client string }{ // client "!": refused, "": the connection's own
		"One4":             {"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n", "192.0.2.1:5000"},
		"One6":             {"PROXY TCP6 2001:db8::1 2001:db8::2 5000 443\r\n", "[2001:db8::1]:5000"},
		"OneUnknown":       {"PROXY UNKNOWN\r\n", ""},
		"OneUnknownMore":   {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", ""},
		"OneBareLF":        {"PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\n", "!"},
		"OneLowerCase":     {"proxy TCP4 192.0.2.1 192.0.2.2 5000 443\r\n", "!"},
		"OneOtherFamily":   {"PROXY TCP4 2001:db8::1 2001:db8::2 5000 443\r\n", "!"},
		"OneShort":         {"PROXY TCP4 192.0.2.1 192.0.2.2 5000\r\n", "!"},
		"OneTwoSpaces":     {"PROXY TCP4  192.0.2.1 192.0.2.2 5000 443\r\n", "!"},
		"OnePortTooLarge":  {"PROXY TCP4 192.0.2.1 192.0.2.2 65536 443\r\n", "!"},
		"OneName":          {"PROXY TCP4 localhost 192.0.2.2 5000 443\r\n", "!"},
		"OneZone":          {"PROXY TCP6 fe80::1%eth0 2001:db8::2 5000 443\r\n", "!"},
		"OneUDP":           {"PROXY UDP4 192.0.2.1 192.0.2.2 5000 443\r\n", "!"},
		"OneEndless":       {"PROXY TCP4 " + strings.Repeat("1", 200), "!"},
		"HTTP":             {"GET / HTTP/1.1\r\n", "!"},
		"TLS":              {"\x16\x03\x01", "!"},
		"Two4":             {two(0x21, 0x11, four), "192.0.2.1:5000"},
		"Two4WithMore":     {two(0x21, 0x11, four+"\x04\x00\x01x"), "192.0.2.1:5000"},
		"Two6":             {two(0x21, 0x21, six), "[2001:db8::1]:5000"},
		"TwoLocal":         {two(0x20, 0x00, ""), ""},
		"TwoLocalWithMore": {two(0x20, 0x11, four), ""},
		"TwoUnix":          {two(0x21, 0x31, strings.Repeat("x", 216)), ""},
		"TwoUnspecified":   {two(0x21, 0x00, ""), ""},
		"TwoMapped":        {two(0x21, 0x21, "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"+six[16:]), "192.0.2.1:5000"},
		"TwoCut4":          {two(0x21, 0x11, four[:11]), "!"},
		"TwoCut6":          {two(0x21, 0x21, six[:35]), "!"},
		"TwoVersion3":      {two(0x31, 0x11, four), "!"},
		"TwoCommand2":      {two(0x22, 0x11, four), "!"},
		"TwoTooLong":       {two(0x21, 0x11, strings.Repeat("x", clientip.MaxHeaderBytes)), "!"},
		"TwoBadSignature":  {"\r\n\r\n\x00\r\nQUIX\n" + two(0x21, 0x11, four)[12:], "!"},
	} {
		t.Run(name, func(t *testing.T) {
			client, n, err := clientip.ParseHeader([]byte(c.head + "GET /"))
			switch {
			case c.client == "!":
				if !errors.Is(err, clientip.ErrHeader) {
					t.Errorf("read as %v (%v), want ErrHeader", client, err)
				}
				return
			case err != nil || n != len(c.head):
				t.Fatalf("length %d (%v), want %d", n, err, len(c.head))
			case c.client == "" && client.IsValid():
				t.Errorf("the client is %v, want none", client)
			case c.client != "" && client.String() != c.client:
				t.Errorf("the client is %v, want %s", client, c.client)
			}
			// In pieces it is the same: not complete, until it is.
			for i := range len(c.head) {
				if _, n, err := clientip.ParseHeader([]byte(c.head[:i])); n != 0 || err != nil {
					t.Fatalf("the first %d bytes give length %d (%v), want more to be needed", i, n, err)
				}
			}
		})
	}
}

// TestHeaderRoundTrip writes any address in both versions, as the specification has it, and reads it again.
func TestHeaderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
		port := rapid.Uint16().Draw(t, "port")
		want := netip.AddrPortFrom(netip.AddrFrom16([16]byte(raw)), port)
		family, body, word := byte(0x21), append(append([]byte{}, raw...), raw...), "TCP6"
		if rapid.Bool().Draw(t, "four") {
			want = netip.AddrPortFrom(netip.AddrFrom4([4]byte(raw)), port)
			family, body, word = 0x11, append(append([]byte{}, raw[:4]...), raw[:4]...), "TCP4"
		}
		body = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(body, port), port)
		addr, number := want.Addr().String(), want.String()[strings.LastIndexByte(want.String(), ':')+1:]
		want = netip.AddrPortFrom(want.Addr().Unmap(), port)
		for _, head := range []string{
			two(0x21, family, string(body)), "PROXY " + word + " " + addr + " " + addr + " " + number + " " + number + "\r\n",
		} {
			if got, n, err := clientip.ParseHeader([]byte(head)); got != want || n != len(head) || err != nil {
				t.Fatalf("%q is read as %v, length %d (%v); want %v", head, got, n, err, want)
			}
		}
	})
}

// FuzzParseHeader has any bytes come: the verdict does not depend on what follows a header, nor on how much of it came at once.
func FuzzParseHeader(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.1 192.0.2.2 5000 443\r\n"))
	f.Add([]byte("PROXY UNKNOWN\r\n"))
	f.Add([]byte(two(0x21, 0x11, "\xc0\x00\x02\x01\xc0\x00\x02\x02\x13\x88\x01\xbb")))
	f.Add([]byte(two(0x20, 0x00, "")))
	f.Fuzz(func(t *testing.T, p []byte) {
		client, n, err := clientip.ParseHeader(p)
		if n < 0 || n > len(p) || n > clientip.MaxHeaderBytes || err != nil && (n != 0 || client.IsValid()) {
			t.Fatalf("%q: length %d of %d, %v (%v)", p, n, len(p), client, err)
		}
		if n == 0 {
			return
		}
		if again, m, err := clientip.ParseHeader(bytes.Clone(p[:n])); again != client || m != n || err != nil {
			t.Fatalf("%q alone: %v, %d (%v); with more behind it %v, %d", p[:n], again, m, err, client, n)
		}
		for i := range n {
			if _, m, err := clientip.ParseHeader(p[:i]); m != 0 || err != nil {
				t.Fatalf("%q: the first %d bytes are length %d (%v)", p[:n], i, m, err)
			}
		}
	})
}
