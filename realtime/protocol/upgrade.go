package protocol

import (
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for SHA-1; nothing secret depends on it
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// UpgradeOptions are what a server offers to clients that ask for a WebSocket.
type UpgradeOptions struct {
	Deflate   bool     // agree to permessage-deflate
	Protocols []string // subprotocols that the server speaks; the client's order decides
}

// Upgrade is what client and server agreed on.
type Upgrade struct {
	Key      string // Sec-WebSocket-Key
	Protocol string // the subprotocol; "" for none
	Deflate  bool   // permessage-deflate, both sides without context takeover

	windowBits bool // the accepted offer had server_max_window_bits=15, which must be repeated
}

// UpgradeError is how a handshake is refused.
type UpgradeError struct {
	Status  int         // 400, 405 or 426
	Code    ErrorCode   // for programs
	Message string      // for people: what is wrong and what would be right
	Header  http.Header // what the answer must carry beside: Allow, Upgrade, Sec-WebSocket-Version. May be nil
}

// Error returns status and message.
func (e *UpgradeError) Error() string {
	return fmt.Sprintf("upgrade refused with %d: %s", e.Status, e.Message)
}

func refuse(code ErrorCode, message string, header http.Header) error {
	return &UpgradeError{Status: code.Status(), Code: code, Message: message, Header: header}
}

const (
	headerKey        = "Sec-Websocket-Key" // the canonical form of net/http, for direct access
	headerVersion    = "Sec-Websocket-Version"
	headerProtocol   = "Sec-Websocket-Protocol"
	headerExtensions = "Sec-Websocket-Extensions"
)

// IsUpgrade reports whether r is meant as a WebSocket handshake, however broken: ParseUpgrade says what is wrong with it.
func IsUpgrade(r *http.Request) bool {
	if r.Header[headerKey] != nil || r.Header[headerVersion] != nil {
		return true
	}
	return hasToken(r.Header["Upgrade"], "websocket")
}

// ParseUpgrade checks the handshake and negotiates. It does not look at Origin or credentials. Bad offers of compression
// mean a connection without compression, never a refusal. All errors are *UpgradeError.
func ParseUpgrade(r *http.Request, offer UpgradeOptions) (Upgrade, error) {
	if err := checkUpgrade(r); err != nil {
		return Upgrade{}, err
	}
	u := Upgrade{Key: r.Header.Get(headerKey), Protocol: chooseProtocol(r.Header[headerProtocol], offer.Protocols)}
	if offer.Deflate {
		u.Deflate, u.windowBits = chooseDeflate(r.Header[headerExtensions])
	}
	return u, nil
}

// checkUpgrade checks what RFC 6455, section 4.2.1 asks of a client.
func checkUpgrade(r *http.Request) error {
	if r.Method != http.MethodGet {
		return refuse(ErrMethod, "a WebSocket handshake is a GET request", http.Header{"Allow": {http.MethodGet}})
	}
	if r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return refuse(ErrUpgradeRequired, "a WebSocket handshake needs HTTP/1.1", wanted(""))
	}
	if !hasToken(r.Header["Upgrade"], "websocket") || !hasToken(r.Header["Connection"], "upgrade") {
		return refuse(ErrUpgradeRequired,
			"the handshake needs 'Upgrade: websocket' and 'Connection: Upgrade'; a proxy between may have removed them", wanted(""))
	}
	if v := r.Header[headerVersion]; len(v) != 1 || strings.TrimSpace(v[0]) != "13" {
		return refuse(ErrWebSocketVersion, "the handshake needs 'Sec-WebSocket-Version: 13'", wanted("13"))
	}
	keys := r.Header[headerKey]
	if len(keys) != 1 {
		return refuse(ErrBadUpgrade, "the handshake needs Sec-WebSocket-Key once", nil)
	}
	if !validKey(keys[0]) {
		return refuse(ErrBadUpgrade, "Sec-WebSocket-Key is not 16 bytes in base64", nil)
	}
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		return refuse(ErrBadUpgrade, "a handshake has no body", nil)
	}
	return nil
}

// wanted tells what a handshake needs; version if it is not empty.
func wanted(version string) http.Header {
	h := http.Header{"Upgrade": {"websocket"}, "Connection": {"Upgrade"}}
	if version != "" {
		h[headerVersion] = []string{version}
	}
	return h
}

// validKey reports whether key is what RFC 6455, section 4.1 asks for. A key with white space around it is none: it
// would be answered with a hash that the client does not expect.
func validKey(key string) bool {
	const encoded = 24
	if len(key) != encoded {
		return false
	}
	var raw [encoded]byte
	n, err := base64.StdEncoding.Decode(raw[:], []byte(key))
	return err == nil && n == 16
}

// hasToken reports whether one of the comma-separated header values has token, in any case.
func hasToken(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// chooseProtocol returns the first of the client's subprotocols that the server speaks. Their names are compared exactly
// (RFC 6455, section 4.1).
func chooseProtocol(offered, spoken []string) string {
	for _, v := range offered {
		for part := range strings.SplitSeq(v, ",") {
			part = strings.Trim(part, " \t")
			for _, s := range spoken {
				if s == part {
					return s
				}
			}
		}
	}
	return ""
}

// appendAcceptKey appends the Sec-WebSocket-Accept that answers key; clients compare with it.
func appendAcceptKey(dst []byte, key string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"        // RFC 6455, section 1.3
	var text [64]byte                                          // on the stack: a key has 24 bytes
	sum := sha1.Sum(append(append(text[:0], key...), guid...)) //nolint:gosec // see the import
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}

// AppendUpgradeResponse appends the whole 101 response. more are header lines beside those of the handshake (a cookie), each with its CR
// LF; what is in them is the caller's to vouch for.
func AppendUpgradeResponse(dst []byte, u Upgrade, more []byte) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = appendAcceptKey(dst, u.Key)
	dst = append(dst, "\r\n"...)
	if u.Protocol != "" {
		dst = append(dst, "Sec-WebSocket-Protocol: "...)
		dst = append(dst, u.Protocol...)
		dst = append(dst, "\r\n"...)
	}
	if u.Deflate {
		dst = append(dst, "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"...)
		if u.windowBits {
			dst = append(dst, "; server_max_window_bits=15"...)
		}
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, more...)
	return append(dst, "\r\n"...)
}
