package protocol

import "strings"

// Limits of Sec-WebSocket-Extensions. Browsers send one offer of 43 bytes. A client that sends more than these gets no
// compression; parsing stops there, so that a long header costs nothing.
const (
	maxExtensionBytes  = 1024
	maxExtensionOffers = 16

	usualParams = 5 // permessage-deflate has four, which follow its name; more cost an allocation
)

// chooseDeflate reports whether one of the client's offers is a permessage-deflate that this server can do, and whether
// the answer must repeat server_max_window_bits=15.
func chooseDeflate(values []string) (ok, windowBits bool) {
	total := 0
	for _, v := range values {
		total += len(v) + 1
	}
	if total == 0 || total > maxExtensionBytes {
		return false, false
	}
	var room [maxExtensionOffers]string
	offers := splitQuoted(room[:0], strings.Join(values, ","), ',')
	if len(offers) > maxExtensionOffers {
		return false, false
	}
	for _, offer := range offers {
		var room [usualParams]string
		params := splitQuoted(room[:0], offer, ';')
		if params[0] != "permessage-deflate" {
			continue
		}
		if ok, windowBits = acceptDeflate(params[1:]); ok {
			return ok, windowBits
		}
	}
	return false, false
}

// acceptDeflate checks the parameters of one offer (RFC 7692, section 7.1). An offer with an unknown, repeated or
// malformed one is declined, and so is one for a smaller window than 32 KiB at the server: one compressed frame is
// shared by all clients.
func acceptDeflate(params []string) (ok, windowBits bool) {
	seen := map[string]bool{}
	for _, p := range params {
		name, value, hasValue := strings.Cut(p, "=")
		name, value = strings.TrimRight(name, " \t"), strings.TrimLeft(value, " \t")
		if seen[name] {
			return false, false
		}
		seen[name] = true
		if hasValue {
			if value, ok = unquote(value); !ok {
				return false, false
			}
		}
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			ok = !hasValue
		case "client_max_window_bits":
			ok = !hasValue || windowSize(value)
		case "server_max_window_bits":
			ok = hasValue && value == "15"
			windowBits = ok
		default:
			ok = false
		}
		if !ok {
			return false, false
		}
	}
	return true, windowBits
}

// windowSize reports whether v is 8 to 15, without leading zeros.
func windowSize(v string) bool {
	return len(v) == 1 && (v == "8" || v == "9") || len(v) == 2 && v[0] == '1' && '0' <= v[1] && v[1] <= '5'
}

// unquote returns the value of a token or of a quoted string that holds a token (RFC 6455, section 9.1).
func unquote(v string) (string, bool) {
	if len(v) >= 2 && v[0] == '"' && v[len(v)-1] == '"' {
		v = v[1 : len(v)-1]
	}
	return v, v != "" && !strings.ContainsAny(v, "\"\\ \t,;=")
}

// splitQuoted cuts s at sep outside of quotes, trims the parts and appends them to parts, one at least.
func splitQuoted(parts []string, s string, sep byte) []string {
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case quoted && s[i] == '\\':
			i++
		case !quoted && s[i] == sep:
			parts = append(parts, strings.Trim(s[start:i], " \t"))
			start = i + 1
		}
	}
	return append(parts, strings.Trim(s[start:], " \t"))
}
