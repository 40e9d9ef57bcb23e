package production

import "slices"

// Role is what somebody is in a kitchen, by the name that the app's sessions carry.
type Role string

// The roles. Server is not a person: it is an API key, as which the app keeps the lists of staff, menus and programmes.
const (
	Superadmin   Role = "PLATFORM_SUPERADMIN"
	Support      Role = "PLATFORM_SUPPORT"
	Head         Role = "SPPG_KEPALA"
	Admin        Role = "SPPG_ADMIN"
	Nutritionist Role = "SPPG_AHLI_GIZI"
	Accountant   Role = "SPPG_AKUNTAN"
	Manager      Role = "SPPG_PRODUKSI_MANAGER"
	Distribution Role = "SPPG_DISTRIBUSI_MANAGER"
	KitchenStaff Role = "SPPG_STAFF_DAPUR"
	QCStaff      Role = "SPPG_STAFF_QC"
	Viewer       Role = "SPPG_VIEWER"
	Server       Role = "SERVER"
)

// Roles are all roles of people.
var Roles = []Role{
	Superadmin, Support, Head, Admin, Nutritionist, Accountant, Manager, Distribution, KitchenStaff, QCStaff, Viewer,
}

// Platform reports whether r belongs to the platform: it may look into any kitchen, each look is logged, and it writes nothing
// but staff.
func (r Role) Platform() bool { return r == Superadmin || r == Support }

// Right is something that a role may do.
type Right string

// The rights, in the order of the table of roles.
const (
	MaySee             Right = "see"              // board, batches, alerts of its own kitchen
	MaySeeMoney        Right = "see-money"        // fields with costs
	MayPlan            Right = "plan"             // create, edit and delete PLANNED batches
	MayWork            Right = "work"             // steps up to QUALITY_CHECK, progress, portions, waste
	MayMeasure         Right = "measure"          // temperature readings, photos
	MayCheck           Right = "check"            // quality checks, samples
	MayRelease         Right = "release"          // QUALITY_CHECK to COMPLETED
	MayRework          Right = "rework"           // QUALITY_CHECK back to COOKING
	MayCancelPlanned   Right = "cancel-planned"   // PLANNED to CANCELLED
	MayCancelLater     Right = "cancel-later"     // later ones to CANCELLED
	MayOverride        Right = "override"         // cook before the day begins, with a reason
	MayEnterCost       Right = "enter-cost"       // actual cost
	MayAcknowledge     Right = "acknowledge"      // any alert; also resolves LOW and MEDIUM
	MayAcknowledgeCost Right = "acknowledge-cost" // alerts about costs only
	MayResolveHigh     Right = "resolve-high"     // resolve HIGH
	MayResolveCritical Right = "resolve-critical" // resolve CRITICAL
	MayDispatch        Right = "dispatch"         // food leaves
	MaySetSafety       Right = "set-safety"       // safety limits
	MaySet             Right = "set"              // other limits and settings
	MayKeepUsers       Right = "keep-users"       // staff of its own kitchen
	MayKeepLists       Right = "keep-lists"       // menus, programmes
	MayExport          Right = "export"           // day log, audit trail
	MayExportCost      Right = "export-cost"      // of these, what is about costs
	MayCorrect         Right = "correct"          // correction rows in final batches
)

// rights is the table of roles. What is not in it is not allowed.
var rights = map[Right][]Role{
	MaySee:             append(slices.Clone(Roles), Server),
	MaySeeMoney:        {Superadmin, Head, Admin, Accountant, Manager, Server},
	MayPlan:            {Head, Admin, Manager},
	MayWork:            {Head, Manager, KitchenStaff},
	MayMeasure:         {Head, Nutritionist, Manager, KitchenStaff, QCStaff},
	MayCheck:           {Head, Nutritionist, Manager, QCStaff},
	MayRelease:         {Head, Nutritionist, QCStaff},
	MayRework:          {Head, Nutritionist, Manager, QCStaff},
	MayCancelPlanned:   {Head, Admin, Manager},
	MayCancelLater:     {Head, Nutritionist, Manager, QCStaff},
	MayOverride:        {Head},
	MayEnterCost:       {Head, Accountant, Manager},
	MayAcknowledge:     {Head, Admin, Nutritionist, Manager, Distribution, KitchenStaff, QCStaff},
	MayAcknowledgeCost: {Head, Admin, Nutritionist, Accountant, Manager, Distribution, KitchenStaff, QCStaff},
	MayResolveHigh:     {Head, Nutritionist, Manager, QCStaff},
	MayResolveCritical: {Head, Nutritionist},
	MayDispatch:        {Head, Manager, Distribution},
	MaySetSafety:       {Head, Nutritionist},
	MaySet:             {Head, Admin},
	MayKeepUsers:       {Superadmin, Head, Admin, Server},
	MayKeepLists:       {Head, Admin, Server},
	MayExport:          {Superadmin, Support, Head, Admin, Nutritionist, Manager, QCStaff, Server},
	MayExportCost:      {Superadmin, Support, Head, Admin, Nutritionist, Accountant, Manager, QCStaff, Server},
	MayCorrect:         {Head},
}

// May reports whether r has the right. A role that is not known has none.
func (r Role) May(right Right) bool { return slices.Contains(rights[right], r) }
