package config

// setting is one row of the table: all that is known about one thing that can be set.
type setting struct {
	key     string   // in the YAML file, with dots between the levels; it is also the setting's name
	env     []string // environment variables; none: file only
	meaning string   // a sentence or two for people who run the server
	def     string   // as a person would write it; empty: nothing
	unset   string   // what no value means, for the reference: "memory engine"
	example string   // a value that passes the checks; required, a test reads it
	kind    kind
}

// section is a group of settings that belong together, as the reference shows them.
type section struct {
	title    string
	intro    string
	settings []setting
}

// kind says what values a setting takes and where they go.
type kind interface {
	// takes describes the values for people: unit, bounds, spelling.
	takes() string

	// set checks items and stores them: one for a single value, any number for a list. Its error says what is wrong and what
	// would be right, and repeats nothing of a secret; it may be many.
	set(d *draft, items []string) error

	// show returns the stored value as lines for people, secrets masked; none when there is no value.
	show(d *draft) []string
}

// splitter is a kind that takes a list. In an environment variable the items stand in one text.
type splitter interface {
	split(text string) []string
}

// eachVariable is a kind whose variables are one item each, verbatim.
type eachVariable interface {
	eachVariable()
}

// masked is a kind whose values are secrets or may hold one.
type masked interface {
	masked()
}

func isList(k kind) bool {
	_, splits := k.(splitter)
	_, each := k.(eachVariable)
	return splits || each
}

func isMasked(k kind) bool {
	_, ok := k.(masked)
	return ok
}

// draft is a Config while it is being read: some settings make one value together.
type draft struct {
	Config

	redis        redisParts
	history      history
	extend       bool
	patterns     []filePattern
	databaseURL  error // what is wrong with it; it matters only if it is read
	traces       tracesParts
	socketTokens bool
	socketSecret Secret
}

// table returns all settings. It is a function since the rows hold pointers to nothing and tests may not change them.
func table() []section {
	return []section{
		serverSection(), redisSection(), authSection(), edgeSection(), connectionSection(), limitSection(), channelSection(),
		cacheSection(), productionSection(), logSection(), tracesSection(),
	}
}

// clientVariable is an environment variable that the commands read by themselves, which is no setting of the server.
type clientVariable struct{ name, meaning string }

func clientVariables() []clientVariable {
	return []clientVariable{
		{FileVariable, "path of the YAML file, when `--config` is not given"},
		{"KENTONGAN_SERVER", "address of the server for `publish` and `tail`, default `http://localhost:3001`"},
		{"KENTONGAN_ADMIN_URL", "admin listener for `quarantine` and `doctor`, default that of the settings"},
		{"KENTONGAN_API_KEY", "API key for `publish` and `tail` (secret)"},
		{"KENTONGAN_TOKEN", "bearer token for `publish` and `tail` instead of an API key (secret)"},
	}
}

// FileVariable names the variable with the path of the YAML file.
const FileVariable = "KENTONGAN_CONFIG"
