package demo

import (
	"time"

	"kentongan/production"
	"kentongan/tenant"
)

// Kitchen is one of the kitchens.
type Kitchen struct {
	ID   tenant.ID
	Name string
	Zone *time.Location // named WIB, WITA or WIT

	zone  production.Zone
	menus []menu
	crew  crew
	hasty bool // its limit for trays that stand is a minute
}

// menu is what a batch cooks.
type menu struct {
	id, name string
	dish     string // the hot dish whose core temperature is measured
}

// Kitchens returns the kitchens, from west to east.
func Kitchens() []Kitchen {
	return []Kitchen{
		{
			ID: "demo_bandung", Name: "SPPG Cibiru Sejahtera, Bandung", Zone: production.WIB.Location(), zone: production.WIB,
			crew: crew{"usr_bdg_sri", "usr_bdg_asep", "usr_bdg_rina", "usr_bdg_dadang"},
			menus: []menu{
				{"menu_bdg_1", "Nasi, ayam kecap, tumis buncis, pisang", "Ayam kecap"},
				{"menu_bdg_2", "Nasi, pepes ikan mas, sayur asem, jeruk", "Pepes ikan mas"},
				{"menu_bdg_3", "Nasi, semur telur, capcai, pepaya", "Semur telur"},
			},
		},
		{
			ID: "demo_makassar", Name: "SPPG Tamalanrea Bersama, Makassar", Zone: production.WITA.Location(), zone: production.WITA,
			crew: crew{"usr_mks_andi", "usr_mks_daeng", "usr_mks_nurul", "usr_mks_ilham"},
			menus: []menu{
				{"menu_mks_1", "Nasi, ikan bandeng bakar, sayur bening, semangka", "Bandeng bakar"},
				{"menu_mks_2", "Nasi, ayam palekko, tumis kangkung, pisang", "Ayam palekko"},
				{"menu_mks_3", "Nasi, coto ayam, tempe goreng, jeruk", "Coto ayam"},
			},
		},
		{
			ID: "demo_jayapura", Name: "SPPG Sentani Permai, Jayapura", Zone: production.WIT.Location(), zone: production.WIT, hasty: true,
			crew: crew{"usr_jpr_yohana", "usr_jpr_markus", "usr_jpr_maria", "usr_jpr_frans"},
			menus: []menu{
				{"menu_jpr_1", "Nasi, ikan kuah kuning, bunga pepaya, matoa", "Ikan kuah kuning"},
				{"menu_jpr_2", "Ubi rebus, ayam bakar, sayur ganemo, pisang", "Ayam bakar"},
				{"menu_jpr_3", "Nasi, telur dadar, tumis sawi, pepaya", "Telur dadar"},
			},
		},
	}
}
