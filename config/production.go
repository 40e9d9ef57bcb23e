package config

import (
	"errors"
	"net/url"
	"strings"
)

// Production says whether this server is the production service of its kitchens, and where it keeps their records.
type Production struct {
	On       bool
	Database Database

	RecordApp bool // keep what an app publishes by itself about productions

	WebhookURL     Secret // where calls for unanswered alerts go; empty: nowhere. It may have a token in it
	WebhookSecret  Secret // of their signatures; set together with WebhookURL
	WebhookPrivate bool   // the receiver may have a private address
}

// Database says where records are kept: a file, or a server.
type Database struct {
	Path string // of the SQLite file; empty: PostgreSQL
	URL  Secret // of PostgreSQL, verbatim
}

// String names the database for people, without user and password.
func (d Database) String() string {
	if d.Path != "" {
		return "sqlite:" + d.Path
	}
	u, err := url.Parse(d.URL.Reveal())
	if err != nil || u.Host == "" {
		return "PostgreSQL"
	}
	return "postgres://" + u.Host + u.EscapedPath()
}

// databaseURL is a DATABASE_URL. It is masked, for it may hold a password; none of its errors repeats any part of it. While the
// production service is off it may be the app's own, of any database: then nothing is wrong with it.
type databaseURL struct{}

func (databaseURL) takes() string {
	return "`sqlite:PATH` or `postgres://user:password@host[:port]/database`"
}
func (databaseURL) masked() {}

func (databaseURL) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	d.Production.Database, d.databaseURL = parseDatabaseURL(s)
	return nil
}

func (databaseURL) show(d *draft) []string {
	if d.databaseURL != nil {
		return nil
	}
	return []string{d.Production.Database.String()}
}

func parseDatabaseURL(s string) (Database, error) {
	scheme, rest, ok := strings.Cut(s, ":")
	switch {
	case ok && scheme == "sqlite":
		path := strings.TrimPrefix(rest, "//")
		switch {
		case path == "" || strings.ContainsRune(path, 0):
			return Database{}, errors.New("names no file; write sqlite: and its path")
		case strings.ContainsRune(path, '?'):
			return Database{}, errors.New("has a ? in its path: there is nothing to set behind it")
		case path == ":memory:":
			return Database{}, errors.New("keeps nothing: records need a file")
		}
		return Database{Path: path}, nil
	case ok && (scheme == "postgres" || scheme == "postgresql"):
		u, err := url.Parse(s)
		if err != nil {
			return Database{}, errors.New("cannot be read; write postgres://user:password@host:5432/database, with special characters " +
				"of the password percent-encoded (# is %23, / is %2F, @ is %40, % is %25)")
		}
		if u.Opaque != "" || u.Host == "" && !u.Query().Has("host") {
			return Database{}, errors.New("has no host; write postgres://user:password@host:5432/database")
		}
		return Database{URL: Secret(s)}, nil
	case ok && scheme == "file":
		return Database{}, errors.New("begins with file:, as Prisma spells SQLite; write sqlite:PATH, and never the app's own database")
	}
	return Database{}, errors.New("must begin with sqlite: or postgres://")
}

// hookURL is the address of a webhook. It is masked: who knows it may be able to write into somebody's chat.
type hookURL struct{}

func (hookURL) takes() string { return "https or http URL" }
func (hookURL) masked()       {}

func (hookURL) set(d *draft, items []string) error {
	s, err := one(items)
	if err != nil {
		return err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return errors.New("cannot be read as a URL")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must begin with https:// or http://")
	case !isHost(u.Hostname()):
		return errors.New("has no valid host")
	case u.User != nil:
		return errors.New("must have no user and password in it: calls are signed")
	case strings.ContainsRune(s, '#'):
		return errors.New("must have no part after #")
	}
	d.Production.WebhookURL = Secret(s)
	return nil
}

func (hookURL) show(d *draft) []string {
	u, err := url.Parse(d.Production.WebhookURL.Reveal())
	if err != nil || u.Host == "" {
		return nil
	}
	return []string{u.Scheme + "://" + u.Host + "/…"}
}

func productionSection() section {
	return section{
		title: "Production service",
		intro: "The kitchen's own record: batches, checks, alerts. It is for those who have no app for that yet; a gateway beside an app " +
			"does not need it, and needs no database.",
		settings: []setting{
			{
				key: "production.service", env: []string{"KENTONGAN_PRODUCTION"}, def: "off", example: "on",
				meaning: "Serve `/api/productions` and the rest of the production service, relay its events, and look after its alerts.",
				kind:    toggle{func(d *draft) *bool { return &d.Production.On }},
			},
			{
				key: "production.database", env: []string{"DATABASE_URL"}, def: "sqlite:kentongan.db",
				example: "postgres://db.example.id:5432/kentongan",
				meaning: "Where records are kept. Not read while the production service is off: then it is the app's. The schema is " +
					"brought up to date at the start, see `kentongan migrate`.",
				kind: databaseURL{},
			},
			{
				key: "production.record_app", env: []string{"KENTONGAN_RECORD_APP"}, def: "off", example: "on",
				meaning: "Keep a copy of what an app publishes by itself on `production:updates` and `production:alerts`, so that lists, " +
					"snapshots and clocks work for kitchens whose records are in its own database.",
				kind: toggle{func(d *draft) *bool { return &d.Production.RecordApp }},
			},
			{
				key: "production.webhook_url", env: []string{"KENTONGAN_WEBHOOK_URL"}, unset: "nobody is called",
				example: "https://hooks.example.id/kentongan",
				meaning: "Who is told of an alert that nobody in the kitchen has answered. Needs `KENTONGAN_WEBHOOK_SECRET` too.",
				kind:    hookURL{},
			},
			{
				key: "production.webhook_secret", env: []string{"KENTONGAN_WEBHOOK_SECRET"}, unset: "nobody is called",
				example: "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
				meaning: "Secret of the signatures, as Standard Webhooks has them: any text, or `whsec_` and base64.",
				kind:    secret{func(d *draft) *Secret { return &d.Production.WebhookSecret }, minWebhookBytes},
			},
			{
				key: "production.webhook_private", env: []string{"KENTONGAN_WEBHOOK_PRIVATE"}, def: "off", example: "on",
				meaning: "Call receivers with private addresses too, such as `10.0.0.7` or `localhost`.",
				kind:    toggle{func(d *draft) *bool { return &d.Production.WebhookPrivate }},
			},
		},
	}
}

// minWebhookBytes is what Standard Webhooks asks for.
const minWebhookBytes = 24

// joinProduction finds settings that say something that the others do not.
func (l *loader) joinProduction() {
	p := &l.d.Production
	where := func(key string) string { return l.sources[key].where(key) }
	switch {
	case p.WebhookURL != "" && !l.sources["production.webhook_secret"].given():
		l.problems.add(where("production.webhook_url"), "is set without KENTONGAN_WEBHOOK_SECRET: calls are signed")
	case p.WebhookSecret != "" && !l.sources["production.webhook_url"].given():
		l.problems.add(where("production.webhook_secret"), "is set without KENTONGAN_WEBHOOK_URL: say who is called, or unset it")
	}
	if p.On {
		if l.d.databaseURL != nil {
			l.problems.add(where("production.database"), "%s", l.d.databaseURL)
		}
		return
	}
	// A DATABASE_URL of postgres:// may be the app's, who shares its environment with us. One of sqlite: is for us alone.
	if l.sources["production.database"].given() && p.Database.Path != "" {
		l.problems.add(where("production.database"), "is set and the production service is off: set KENTONGAN_PRODUCTION=on, or unset it")
	}
	for _, key := range []string{"production.record_app", "production.webhook_url"} {
		if l.sources[key].given() && (key != "production.record_app" || p.RecordApp) {
			l.problems.add(where(key), "is set and the production service is off: set KENTONGAN_PRODUCTION=on, or unset it")
		}
	}
}
