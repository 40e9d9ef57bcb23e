package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"kentongan/internal/rediscmd"
	"kentongan/realtime"
	"kentongan/realtime/schema"
	"kentongan/tenant"
)

var (
	cookieName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$")
	claimPath  = regexp.MustCompile(`^[^\s.]+(\.[^\s.]+){0,7}$`)
	roleName   = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)
)

// checkCookie accepts a cookie name (RFC 6265: a token).
func checkCookie(s string) (string, error) {
	if !cookieName.MatchString(s) {
		return "", fmt.Errorf("%s is no cookie name; write it as the app's auth configuration does, for example "+
			"__Secure-authjs.session-token", quote(s))
	}
	return s, nil
}

// checkClaim accepts names with dots between them.
func checkClaim(s string) (string, error) {
	if !claimPath.MatchString(s) || len(s) > 128 {
		return "", fmt.Errorf("%s is no path of a claim; write its name, with dots between levels: user.sppgId", quote(s))
	}
	return s, nil
}

// checkRole accepts the name of a role.
func checkRole(s string) (string, error) {
	if !roleName.MatchString(s) {
		return "", fmt.Errorf("%s is no role; write its name as the session has it, for example PLATFORM_SUPERADMIN", quote(s))
	}
	return s, nil
}

// checkKeyName accepts the name of an API key, with its kitchen if it is bound to one. It repeats nothing: who writes the key behind
// the name has put it here.
func checkKeyName(s string) (string, error) {
	name, kitchen, bound := strings.Cut(s, "@")
	if !tenant.Valid(tenant.ID(name)) || bound && !tenant.Valid(tenant.ID(kitchen)) {
		return "", errors.New("has an entry that is no name of an API key; write name or name@tenant, without the key itself")
	}
	return s, nil
}

// defaultCommands stands for rediscmd.Cache in a list of commands.
const defaultCommands = "default"

// checkCommand accepts a command of Redis that may be passed on.
func checkCommand(s string) (string, error) {
	if strings.EqualFold(s, defaultCommands) {
		return defaultCommands, nil
	}
	name := strings.ToUpper(s)
	if _, ok := rediscmd.Find(name); ok {
		return name, nil
	}
	if why := rediscmd.Refusal(name); why != "" {
		return "", fmt.Errorf("%s is never passed on, for %s", name, why)
	}
	return "", fmt.Errorf("%s is no command that can be passed on%s", quote(s), suggest(name, rediscmd.Names()))
}

// noFields stands for an empty list of hidden fields.
const noFields = "none"

// checkHiddenField accepts a name that realtime.NewHiddenFields takes.
func checkHiddenField(s string) (string, error) {
	if err := realtime.CheckHiddenField(s); err != nil {
		return "", fmt.Errorf("has an entry that is none: %w", err)
	}
	return s, nil
}

// checkLine accepts any text of one line.
func checkLine(s string) (string, error) {
	if s == "" || len(s) > 512 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errors.New("must be one line of 1 to 512 bytes")
	}
	return s, nil
}

// checkFile accepts a path. Whether the file is there is seen when it is opened.
func checkFile(s string) (string, error) {
	if strings.ContainsRune(s, 0) {
		return "", errors.New("is no path")
	}
	return s, nil
}

// checkSockets accepts a Sockets.
func checkSockets(s string) (string, error) {
	switch v := Sockets(strings.ToLower(s)); v {
	case SocketsAuto, SocketsEpoll, SocketsPortable:
		return string(v), nil
	}
	return "", fmt.Errorf("%s is none of auto, epoll and portable", quote(s))
}

// checkMode accepts a schema.Mode.
func checkMode(s string) (string, error) {
	switch m := schema.Mode(strings.ToLower(s)); m {
	case schema.Off, schema.Report, schema.Refuse:
		return string(m), nil
	}
	return "", fmt.Errorf("%s is none of off, report and refuse", quote(s))
}

// checkFormat accepts a LogFormat.
func checkFormat(s string) (string, error) {
	switch f := LogFormat(strings.ToLower(s)); f {
	case LogAuto, LogText, LogJSON:
		return string(f), nil
	}
	return "", fmt.Errorf("%s is no format; write auto, text or json", quote(s))
}

// checkAccess accepts an AccessLog.
func checkAccess(s string) (string, error) {
	switch a := AccessLog(strings.ToLower(s)); a {
	case AccessOff, AccessErrors, AccessOn:
		return string(a), nil
	}
	return "", fmt.Errorf("%s is none of off, errors and on", quote(s))
}
