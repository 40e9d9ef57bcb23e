package rows

import (
	"errors"
	"fmt"

	"kentongan/production"
	"kentongan/tenant"
)

// Check returns ErrInvalid, wrapped, if c is broken in itself. See production.Changes.
func Check(c *production.Commit) error {
	if err := check(c); err != nil {
		return fmt.Errorf("commit of %s: %w: %w", c.Tenant, production.ErrInvalid, err)
	}
	return nil
}

func check(c *production.Commit) error {
	if !tenant.Valid(c.Tenant) {
		return errors.New("it is of no tenant")
	}
	batch := ""
	if b := c.Batch; b != nil {
		batch = b.Production.ID
		switch {
		case batch == "":
			return errors.New("its batch has no id")
		case b.Production.Tenant != c.Tenant:
			return fmt.Errorf("batch %s is of tenant %s", batch, b.Production.Tenant)
		case c.Base < 0 || b.Revision != c.Base+1:
			return fmt.Errorf("batch %s has revision %d on base %d", batch, b.Revision, c.Base)
		}
	}
	if k := c.Kitchen; k != nil {
		switch {
		case k.Kitchen.ID != c.Tenant:
			return fmt.Errorf("its kitchen is %s", k.Kitchen.ID)
		case c.KitchenBase < 0 || k.Revision != c.KitchenBase+1:
			return fmt.Errorf("its kitchen has revision %d on base %d", k.Revision, c.KitchenBase)
		}
	}
	for i := range c.Alerts {
		a := &c.Alerts[i]
		switch {
		case a.Tenant != c.Tenant:
			return fmt.Errorf("alert %s is of tenant %s", a.ID, a.Tenant)
		case a.ProductionID != "" && a.ProductionID != batch:
			return fmt.Errorf("alert %s is of batch %s, which is not in it", a.ID, a.ProductionID)
		case a.ProductionID == "" && c.Kitchen == nil:
			return fmt.Errorf("alert %s is of the kitchen, which is not in it", a.ID)
		}
	}
	for _, r := range Entries(c) {
		if r.ProductionID != batch || batch == "" {
			return fmt.Errorf("%s %s is of batch %s, which is not in it", r.Kind, r.ID, r.ProductionID)
		}
	}
	return checkTenants(c)
}

func checkTenants(c *production.Commit) error {
	for i := range c.Events {
		if e := &c.Events[i]; e.Tenant != c.Tenant {
			return fmt.Errorf("event %s is of tenant %s", e.ID, e.Tenant)
		}
	}
	for i := range c.Notices {
		if n := &c.Notices[i]; n.Tenant != c.Tenant {
			return fmt.Errorf("notice %s is of tenant %s", n.ID, n.Tenant)
		}
	}
	for i := range c.Audit {
		if a := &c.Audit[i]; a.Tenant != c.Tenant {
			return fmt.Errorf("audit entry %q is of tenant %s", a.Action, a.Tenant)
		}
	}
	return nil
}
