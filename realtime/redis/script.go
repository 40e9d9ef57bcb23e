package redis

import (
	_ "embed"

	"github.com/redis/rueidis"
)

var (
	//go:embed place.lua
	placeSource string
	//go:embed store.lua
	storeSource string
	//go:embed publish.lua
	publishSource string
	//go:embed read.lua
	readSource string
	//go:embed heads.lua
	headsSource string
	//go:embed turn.lua
	turnSource string
	//go:embed members.lua
	membersSource string
	//go:embed device.lua
	deviceSource string
	//go:embed snapshot.lua
	snapshotSource string
	//go:embed links.lua
	linksSource string
	//go:embed report.lua
	reportSource string
	//go:embed stamp.lua
	stampSource string
	//go:embed schema.lua
	schemaSource string
	//go:embed scan.lua
	scanSource string

	turnScript     = placed("local reign = ''\n" + storeSource + turnSource) // which gives no offsets out
	membersScript  = placed(membersSource)
	deviceScript   = placed(deviceSource)
	readScript     = placedRetryable(readSource)
	snapshotScript = placedRetryable(snapshotSource)
	headsScript    = placedRetryable(headsSource)
	scanScript     = placedRetryable(scanSource)
	schemaScript   = placed(schemaSource)
	reportScript   = placed(linksSource + reportSource)
)

func placed(source string) *rueidis.Lua { return rueidis.NewLuaScript(placeSource + source) }
func placedRetryable(source string) *rueidis.Lua {
	return rueidis.NewLuaScriptRetryable(placeSource + source)
}
