package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"kentongan/app"
	"kentongan/tenant"
)

type auditCommand struct {
	Verify auditVerifyCommand `cmd:"" help:"Say whether the audit trails in the database are whole."`
}

type auditVerifyCommand struct {
	fileFlag
	Tenant []string `help:"Kitchens to look at; without it all." placeholder:"ID"`
	JSON   bool     `help:"Print one JSON object a kitchen."`
}

// Help is what audit verify --help adds.
func (*auditVerifyCommand) Help() string {
	return `Each entry of a kitchen's audit trail holds the hash of the one before it: an entry that was changed, left out or put in breaks
the chain there. That the end was cut off shows only in comparison with a hash that was written down elsewhere: keep the last ones
that this prints. The exit code is 1 if a trail is broken.

Examples:

  KENTONGAN_PRODUCTION=on kentongan audit verify

  KENTONGAN_PRODUCTION=on DATABASE_URL=postgres://… kentongan audit verify --tenant sppg_7 --json`
}

var errBrokenTrail = errors.New("an audit trail is broken")

// Run is kentongan audit verify.
func (c *auditVerifyCommand) Run(w *world) error {
	var tenants []tenant.ID
	for _, t := range c.Tenant {
		if !tenant.Valid(t) {
			return usage("--tenant %.64q: a tenant id is 1 to 64 of A-Z a-z 0-9 _ -", t)
		}
		tenants = append(tenants, tenant.ID(t))
	}
	cfg, err := loadRecords(w, c.Config)
	if err != nil {
		return err
	}
	ctx, stop := untilSignal()
	defer stop()
	broken := false
	err = app.VerifyAudit(ctx, cfg.Production.Database, w.logger(cfg.Log), tenants, func(t app.Trail) error {
		broken = broken || t.Problem != ""
		return c.print(w, t)
	})
	if err == nil && broken {
		err = errBrokenTrail
	}
	return err //nolint:wrapcheck // it says all
}

func (c *auditVerifyCommand) print(w *world, t app.Trail) error {
	if c.JSON {
		return wrapWrite(json.NewEncoder(w.out).Encode(t))
	}
	var err error
	switch {
	case t.Problem != "":
		_, err = fmt.Fprintf(w.out, "%s: BROKEN after %d entries: %s\n", t.Tenant, t.Entries, t.Problem)
	case t.Entries == 0:
		_, err = fmt.Fprintf(w.out, "%s: no entries\n", t.Tenant)
	default:
		_, err = fmt.Fprintf(w.out, "%s: %d entries in order, the last has hash %s\n", t.Tenant, t.Entries, t.Last)
	}
	return wrapWrite(err)
}
