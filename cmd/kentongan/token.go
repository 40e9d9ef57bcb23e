package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

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
	Lifetime time.Duration `help:"How long the session lasts; by a link, from when it is opened." default:"1h" placeholder:"DURATION"`
	LinkLife time.Duration `help:"How long a link can be opened." default:"15m" placeholder:"DURATION"`
	Cookie   string        `help:"Name of the cookie; without it the configured one, or authjs.session-token." placeholder:"NAME"`
	Format   string        `help:"What to print: ${enum}." enum:"header,value,curl,link,qr" default:"header"`
	Server   string        `help:"Address of the server; else KENTONGAN_PUBLIC_URL." env:"KENTONGAN_SERVER" placeholder:"URL"`
}

// Help is what token --help adds.
func (*tokenCommand) Help() string {
	return `Makes a session as the app's Auth.js would, with the first session secret that is configured. Whoever has it is that user
until it ends.

A link, or the same as a QR code to be read with a camera, pairs a tablet or the screen on the wall with a kitchen, where there is no app to
sign in at: whoever opens it is that user from then on. It works at a server with the production service.

Examples:

  kentongan token --tenant sppg_7 --sub tablet_1 --role SPPG_STAFF_DAPUR --lifetime 720h --format qr --server https://papan.example.id

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
	who := person{sub: c.Sub, kitchen: c.Tenant, role: c.Role, userType: c.UserType, name: c.Name}
	server := strings.TrimRight(cmp.Or(c.Server, cfg.Server.PublicURL, "http://localhost:3001"), "/")
	if c.Format == "link" || c.Format == "qr" {
		return c.link(w, cfg.Auth, who, server)
	}
	name := c.Cookie
	if name == "" {
		name = cfg.Auth.Cookie
	}
	if name == "" {
		name = auth.SessionCookie
	}
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
	_, err = fmt.Fprintf(w.out, format, name, value, server)
	if err != nil {
		return fmt.Errorf("write token: %w", err)
	}
	return nil
}

// link prints what pairs a device.
func (c *tokenCommand) link(w *world, a config.Auth, who person, server string) error {
	signIn, err := auth.NewSignIn(auth.SignInOptions{Secret: a.SessionSecrets[0].Reveal(), LinkLife: c.LinkLife})
	if err != nil {
		return usageError{err}
	}
	path, err := signIn.LinkFor(claimsFor(a.Claims, who), c.Lifetime)
	if err != nil {
		return usageError{err} // too much of a name
	}
	address := server + path
	if c.Format == "qr" {
		code, err := qr.Encode(address, qr.L)
		if err != nil {
			return fmt.Errorf("draw QR code: %w", err)
		}
		address = drawQR(code) + address
	}
	if _, err := fmt.Fprintln(w.out, address); err != nil {
		return fmt.Errorf("write link: %w", err)
	}
	return nil
}

// quiet is how many light modules stand around a code, by the standard.
const quiet = 4

// drawQR draws a code, two rows of modules in a line of text. The light ones are drawn: on a dark terminal that is the right way round.
func drawQR(code *qr.Code) string {
	light := func(x, y int) bool { return y >= code.Size+2*quiet || !code.Black(x-quiet, y-quiet) } // outside it, too
	var b strings.Builder
	for y := 0; y < code.Size+2*quiet; y += 2 {
		for x := range code.Size + 2*quiet {
			switch up, down := light(x, y), light(x, y+1); {
			case up && down:
				b.WriteRune('█')
			case up:
				b.WriteRune('▀')
			case down:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
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
	case c.LinkLife < time.Second:
		return usage("--link-life must be 1s or more")
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
