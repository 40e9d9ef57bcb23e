package config

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"kentongan/internal/rediscmd"
	"kentongan/realtime"
)

// Input is where settings come from.
type Input struct {
	Environ []string // "NAME=value", as os.Environ returns it; of a name that comes twice the last one counts
	File    string   // path of the YAML file; empty: what KENTONGAN_CONFIG says, or no file

	// Serve asks for what a server for real people needs: at least one source of credentials.
	Serve bool
}

// source says where the value of a setting came from.
type source struct {
	env   []string // variables
	place string   // "kentongan.yaml:7"
}

func (s source) given() bool { return len(s.env) > 0 || s.place != "" }

// where is what a problem with the setting begins with.
func (s source) where(key string) string {
	switch {
	case len(s.env) > 0:
		return strings.Join(s.env, ", ")
	case s.place != "":
		return s.place + ": " + key
	}
	return key
}

// String is what Show prints.
func (s source) String() string {
	switch {
	case len(s.env) > 0:
		return "environment " + strings.Join(s.env, ", ")
	case s.place != "":
		return "file " + s.place
	}
	return "default"
}

// loader reads one configuration.
type loader struct {
	d        draft
	path     string // of the YAML file; empty: there is none
	env      map[string]string
	sources  map[string]source // by key; of those that are not default
	problems Problems
}

// Load reads and checks all settings. Its error is Problems: every mistake that there is, not only the first. The Config
// that comes with an error must not be used.
func Load(in Input) (Config, error) {
	l := &loader{env: variables(in.Environ), sources: map[string]source{}}
	l.defaults()
	l.unknownVariables()
	path := in.File
	if path == "" {
		path = l.env[FileVariable]
	}
	l.path = path
	if path != "" {
		if body, err := readBounded(path); err != nil {
			l.problems.add(path, "cannot be read: %s", err)
		} else {
			l.readFile(path, body)
		}
	}
	l.readEnv()
	l.join(in.Serve)
	if len(l.problems) > 0 {
		return Config{}, l.problems
	}
	l.d.effective = l.found()
	return l.d.Config, nil
}

// variables returns the environment as a map, without empty ones: compose files and charts pass on unset variables
// as empty.
func variables(environ []string) map[string]string {
	env := map[string]string{}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		delete(env, name)
		if value != "" {
			env[name] = value
		}
	}
	return env
}

func settings() []setting {
	var all []setting
	for _, s := range table() {
		all = append(all, s.settings...)
	}
	return all
}

func (l *loader) defaults() {
	for _, s := range settings() {
		if s.def == "" {
			continue
		}
		if err := s.kind.set(&l.d, itemsOf(s.kind, s.def)); err != nil {
			panic(fmt.Sprintf("config: default of %s: %v", s.key, err))
		}
	}
}

func itemsOf(k kind, value string) []string {
	if k, ok := k.(splitter); ok {
		return k.split(value)
	}
	return []string{value}
}

func (l *loader) readEnv() {
	for _, s := range settings() {
		var names []string
		for _, name := range s.env {
			if l.env[name] != "" {
				names = append(names, name)
			}
		}
		if len(names) == 0 {
			continue
		}
		l.sources[s.key] = source{env: names}
		if _, ok := s.kind.(eachVariable); ok {
			l.readEach(s, names)
			continue
		}
		l.set(s.kind, names[0], itemsOf(s.kind, l.env[names[0]]))
	}
}

// readEach checks every variable by itself, so that a problem names the right one, and then sets all of them.
func (l *loader) readEach(s setting, names []string) {
	var items []string
	for _, name := range names {
		before := len(l.problems)
		l.set(s.kind, name, []string{l.env[name]})
		if len(l.problems) == before {
			items = append(items, l.env[name])
		}
	}
	if len(items) > 0 {
		l.set(s.kind, strings.Join(names, ", "), items)
	}
}

func (l *loader) set(k kind, where string, items []string) {
	if err := k.set(&l.d, items); err != nil {
		for _, one := range explode(err) {
			l.problems.add(where, "%s", one)
		}
	}
}

func (l *loader) readFile(path string, body []byte) {
	f := &file{path: path, problems: &l.problems}
	if root := f.readRoot(body); root != nil {
		l.readLevel(f, root, "")
	}
}

// readLevel reads the keys below prefix.
func (l *loader) readLevel(f *file, n *yaml.Node, prefix string) {
	var known []string
	byName := map[string]*setting{}
	for _, s := range settings() {
		rest, ok := strings.CutPrefix(s.key, prefix)
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(rest, ".")
		if !slices.Contains(known, name) {
			known = append(known, name)
		}
		if !deeper {
			byName[name] = &s
		}
	}
	f.mapping(n, strings.TrimSuffix(prefix, "."), func(name string, v *yaml.Node) bool {
		switch s := byName[name]; {
		case !slices.Contains(known, name):
			return false
		case v.Kind == yaml.ScalarNode && v.ShortTag() == "!!null":
			// a key without a value says nothing
		case s == nil:
			l.readLevel(f, v, prefix+name+".")
		default:
			l.readSetting(f, *s, v)
		}
		return true
	}, known...)
}

// nodeReader is a kind whose value in the file is neither a text nor a list of texts.
type nodeReader interface {
	readNode(f *file, key string, n *yaml.Node, d *draft)
}

func (l *loader) readSetting(f *file, s setting, n *yaml.Node) {
	l.sources[s.key] = source{place: fmt.Sprintf("%s:%d", f.path, n.Line)}
	if k, ok := s.kind.(nodeReader); ok {
		k.readNode(f, s.key, n, &l.d)
		return
	}
	if isList(s.kind) {
		if items, ok := f.items(n, s.key); ok {
			l.set(s.kind, f.where(n, s.key), items)
		}
		return
	}
	value, ok := f.scalar(n, s.key)
	if !ok {
		return
	}
	if value == "" {
		f.problem(n, s.key, "is an empty text; write a value, or leave the key away")
		return
	}
	l.set(s.kind, f.where(n, s.key), []string{value})
}

// join makes the values that several settings make together, and finds those that contradict each other.
func (l *loader) join(serve bool) {
	l.joinRedis()
	l.joinPatterns()
	l.joinMoneyFields()
	l.joinProduction()
	l.joinListeners()
	l.joinEdge()
	l.joinAuth()
	l.joinTraces()
	where := func(key string) string { return l.sources[key].where(key) }
	if l.d.Limits.BacklogBytes < l.d.Limits.PublishBytes {
		key, other := "limits.backlog_bytes", "limits.publish_bytes"
		if !l.sources[key].given() {
			key, other = other, key
		}
		l.problems.add(where(key), "contradicts %s: a publication of %s could never wait in a backlog of %s; raise the "+
			"backlog or lower the publication",
			where(other), bytesText(l.d.Limits.PublishBytes), bytesText(l.d.Limits.BacklogBytes))
	}
	if serve && len(l.problems) == 0 && !l.d.Auth.HasSource() {
		l.problems.add("credentials", "none are configured, so nobody could sign in: set AUTH_SECRET or NEXTAUTH_SECRET to "+
			"the app's secret, or KENTONGAN_JWT_SECRET, KENTONGAN_JWKS_URL or KENTONGAN_API_KEYS (or try: kentongan demo)")
	}
}

func (l *loader) joinListeners() {
	s := &l.d.Server
	where := func(key string) string { return l.sources[key].where(key) }
	switch {
	case s.TLSCert != "" && s.TLSKey == "":
		l.problems.add(where("server.tls_cert"), "is set without KENTONGAN_TLS_KEY: TLS needs both")
	case s.TLSCert == "" && s.TLSKey != "":
		l.problems.add(where("server.tls_key"), "is set without KENTONGAN_TLS_CERT: TLS needs both")
	}
	if s.AdminListen != "" && s.AdminToken == "" && !onThisMachine(s.AdminListen) {
		l.problems.add(where("server.admin_listen"), "listens on more than this machine and asks nobody who they are: set "+
			"KENTONGAN_ADMIN_TOKEN, or listen on 127.0.0.1")
	}
	if s.RedisDoor != "" && !l.sources["auth.api_keys"].given() {
		l.problems.add(where("server.redis_door"), "is set without KENTONGAN_API_KEYS: its clients sign in with one of "+
			"them as the password")
	}
	l.joinDoor()
	l.samePort("server.admin_listen", s.AdminListen, "server.listen", s.Listen)
	l.samePort("server.redis_door", s.RedisDoor, "server.listen", s.Listen)
	l.samePort("server.redis_door", s.RedisDoor, "server.admin_listen", s.AdminListen)
}

// joinDoor looks at what the Redis door passes on, and for whom.
func (l *loader) joinDoor() {
	s := &l.d.Server
	where := l.sources["server.redis_door_pass"].where("server.redis_door_pass")
	switch {
	case len(s.DoorPass) == 0 && l.sources["server.redis_door_commands"].given():
		l.problems.add(l.sources["server.redis_door_commands"].where("server.redis_door_commands"), "is set without "+
			"KENTONGAN_REDIS_DOOR_PASS: name the API keys whose commands are passed on")
	case len(s.DoorPass) > 0 && s.RedisDoor == "":
		l.problems.add(where, "is set without KENTONGAN_REDIS_DOOR: that door is what passes commands on")
	case len(s.DoorPass) > 0 && len(l.d.Cluster) > 0:
		l.problems.add(where, "is set, and so is REDIS_CLUSTER: commands are not passed on to a Cluster, whose clients have to find "+
			"the right node for each key; give the app the nodes of it, and this door for PUBLISH alone")
	case len(s.DoorPass) > 0 && !l.d.Redis.Enabled():
		l.problems.add(where, "is set without REDIS_HOST or REDIS_URL: the memory engine has no Redis to pass commands on to")
	}
	for _, entry := range s.DoorPass {
		name, kitchen, _ := strings.Cut(entry, "@")
		at := slices.IndexFunc(l.d.Auth.APIKeys, func(k APIKey) bool { return k.Name == name })
		switch {
		case at < 0:
			l.problems.add(where, "names %s, which is none of the API keys", name)
		case string(l.d.Auth.APIKeys[at].Tenant) != kitchen && kitchen == "":
			l.problems.add(where, "names %s, which is a key of one kitchen: write %s@%s if it shall reach the keys of all kitchens in "+
				"Redis", name, name, l.d.Auth.APIKeys[at].Tenant)
		case string(l.d.Auth.APIKeys[at].Tenant) != kitchen:
			l.problems.add(where, "names %s, but the API key %s is not of that kitchen", entry, name)
		}
	}
	if i := slices.Index(s.DoorCommands, defaultCommands); i >= 0 {
		all := slices.Concat(s.DoorCommands[:i], rediscmd.Cache(), s.DoorCommands[i+1:])
		slices.Sort(all)
		s.DoorCommands = slices.Compact(all)
	}
}

// joinMoneyFields reads the word for none.
func (l *loader) joinMoneyFields() {
	const key = "channels.money_fields"
	c := &l.d.Channels
	where := l.sources[key].where(key)
	if slices.Contains(c.MoneyFields, noFields) {
		if len(c.MoneyFields) > 1 {
			l.problems.add(where, "has none beside names: write one or the other")
		}
		c.MoneyFields = nil
	}
	if _, err := realtime.NewHiddenFields(c.MoneyFields); err != nil {
		l.problems.add(where, "%s", err)
	}
}

// samePort finds two listeners that cannot both have what they ask for. The setting that was given is the one that is wrong.
func (l *loader) samePort(key, address, otherKey, otherAddress string) {
	host, port, _ := net.SplitHostPort(address)
	otherHost, otherPort, _ := net.SplitHostPort(otherAddress)
	if address == "" || otherAddress == "" || port != otherPort || port == "0" {
		return
	}
	if host == otherHost || everywhere(host) || everywhere(otherHost) {
		if !l.sources[key].given() {
			key, otherKey = otherKey, key
		}
		l.problems.add(l.sources[key].where(key), "uses the same port as %s: give each its own", l.sources[otherKey].where(otherKey))
	}
}

func everywhere(host string) bool { return host == "" || host == "0.0.0.0" || host == "::" }

func (l *loader) joinAuth() {
	a := &l.d.Auth
	where := func(key string) string { return l.sources[key].where(key) }
	switch {
	case l.d.socketTokens && l.d.socketSecret != "":
		a.SocketTokenSecret = l.d.socketSecret
	case l.d.socketTokens && len(a.SessionSecrets) > 0:
		a.SocketTokenSecret = a.SessionSecrets[0]
	case l.d.socketTokens:
		l.problems.add(where("auth.socket_tokens"), "is on without a secret: set KENTONGAN_SOCKET_TOKEN_SECRET or NEXTAUTH_SECRET")
	case l.d.socketSecret != "":
		l.problems.add(where("auth.socket_token_secret"), "is set but socket tokens are off: set KENTONGAN_SOCKET_TOKENS=on, or unset it")
	}
	if a.JWTSecret == "" && a.JWKSURL == "" {
		for _, key := range []string{"auth.jwt_issuer", "auth.jwt_audience"} {
			if l.sources[key].given() {
				l.problems.add(where(key), "is set but no bearer tokens are accepted: set KENTONGAN_JWT_SECRET or "+
					"KENTONGAN_JWKS_URL, or unset it")
			}
		}
	}
}
