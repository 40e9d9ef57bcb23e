package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"kentongan/auth"
	"kentongan/config"
	"kentongan/tenant"
)

type tokenCommand struct {
	fileFlag
	Sub      string        `help:"User id." default:"usr_test" placeholder:"ID"`
	Tenant   string        `help:"Kitchen of the user; not for platform roles." placeholder:"ID"`
	Role     string        `help:"Role of the user." default:"SPPG_KEPALA" placeholder:"ROLE"`
	UserType string        `help:"Type of user." placeholder:"TYPE"`
	Name     string        `help:"Name of the user." placeholder:"NAME"`
	Lifetime time.Duration `help:"How long the session lasts." default:"1h" placeholder:"DURATION"`
	Cookie   string        `help:"Name of the cookie; without it the configured one, or authjs.session-token." placeholder:"NAME"`
	Format   string        `help:"What to print: ${enum}." enum:"header,value,curl" default:"header"`
	Server   string        `help:"Address in the curl line." default:"http://localhost:3001" env:"KENTONGAN_SERVER" placeholder:"URL"`
}

// Help is what token --help adds.
func (*tokenCommand) Help() string {
	return `Makes a session as the app's Auth.js would, with the first session secret that is configured. Whoever has it is that user
until it ends: it is for trying things out, not for people.

Examples:

  kentongan token --tenant sppg_7

  kentongan token --role PLATFORM_SUPPORT --lifetime 10m --format curl

  kentongan tail --cookie "$(kentongan token --tenant sppg_7)" production:updates:sppg_7`
}

// Run is kentongan token.
func (c *tokenCommand) Run(w *world) error {
	cfg, err := config.Load(config.Input{Environ: w.environ, File: c.Config})
	if err != nil {
		return err
	}
	if len(cfg.Auth.SessionSecrets) == 0 {
		return usage("there is no session secret to make a session with; set AUTH_SECRET or NEXTAUTH_SECRET as the server has it")
	}
	if err := c.check(cfg.Auth); err != nil {
		return err
	}
	name := c.Cookie
	if name == "" {
		name = cfg.Auth.Cookie
	}
	if name == "" {
		name = auth.SessionCookie
	}
	who := person{sub: c.Sub, kitchen: c.Tenant, role: c.Role, userType: c.UserType, name: c.Name}
	value, err := auth.MintSession(cfg.Auth.SessionSecrets[0].Reveal(), name, claimsFor(cfg.Auth.Claims, who), c.Lifetime)
	if err != nil {
		return usageError{err} // its errors are about the flags: the secret was checked
	}
	format := "Cookie: %[1]s=%[2]s\n"
	switch c.Format {
	case "value":
		format = "%[2]s\n"
	case "curl":
		format = "curl -H 'Origin: %[3]s' -H 'Cookie: %[1]s=%[2]s' '%[3]s/api/ws'\n"
	}
	_, err = fmt.Fprintf(w.out, format, name, value, strings.TrimRight(c.Server, "/"))
	if err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	return nil
}

// check refuses sessions that the server would refuse, so that nobody looks for the reason there.
func (c *tokenCommand) check(a config.Auth) error {
	platform := slices.Contains(a.PlatformRoles, c.Role)
	switch {
	case c.Tenant == "" && !platform:
		return usage("a user of role %q needs a kitchen: add --tenant, or use a platform role (%s)",
			c.Role, strings.Join(a.PlatformRoles, ", "))
	case c.Tenant != "" && !tenant.Valid(c.Tenant):
		return usage("--tenant: %w", tenant.ErrInvalid)
	case c.Sub == "":
		return usage("--sub must not be empty")
	case c.Lifetime < time.Second:
		return usage("--lifetime must be 1s or more")
	}
	return nil
}

// person is who a session is made for.
type person struct{ sub, kitchen, role, userType, name string }

// claimsFor puts a person into the claims that the server is set to read.
func claimsFor(paths config.Claims, p person) map[string]any {
	claims := map[string]any{}
	put := func(path, value string) {
		if value == "" {
			return
		}
		names := strings.Split(path, ".")
		level := claims
		for _, name := range names[:len(names)-1] {
			next, ok := level[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				level[name] = next
			}
			level = next
		}
		level[names[len(names)-1]] = value
	}
	put(paths.Subject, p.sub)
	put(paths.Tenant, p.kitchen)
	put(paths.Role, p.role)
	put(paths.UserType, p.userType)
	put("name", p.name)
	return claims
}
