package auth

import "slices"

// moneyRoles may see costs and prices.
var moneyRoles = []string{RoleSuperadmin, "SPPG_KEPALA", "SPPG_ADMIN", "SPPG_AKUNTAN", "SPPG_PRODUKSI_MANAGER"}

// MaySeeMoney reports whether a person of this role may see fields with costs and prices.
func MaySeeMoney(role string) bool { return slices.Contains(moneyRoles, role) }

// MaySeeMoney reports whether i may see fields with costs and prices: people by their role, and servers.
func (i *Identity) MaySeeMoney() bool { return i.Server || MaySeeMoney(i.Role) }

// MayReplace reports whether next may carry on the connection that i opened: the same person in the same kitchen, by
// whatever credential, or the same server. Rights that next has lost or won hold from then on, except the look into all
// kitchens: a connection that has it may follow channels that one without it may not, so it cannot change in place.
func (i *Identity) MayReplace(next *Identity) bool {
	return next != nil && i.Subject == next.Subject && i.Tenant == next.Tenant &&
		i.Server == next.Server && i.Platform == next.Platform
}
