package redis

import (
	_ "embed"

	"github.com/redis/rueidis"
)

var (
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
	//go:embed report.lua
	reportSource string
	//go:embed stamp.lua
	stampSource string
	//go:embed schema.lua
	schemaSource string

	turnScript     = rueidis.NewLuaScript("local reign = ''\n" + storeSource + turnSource) // which gives no offsets out
	membersScript  = rueidis.NewLuaScript(membersSource)
	deviceScript   = rueidis.NewLuaScript(deviceSource)
	readScript     = rueidis.NewLuaScriptRetryable(readSource)
	snapshotScript = rueidis.NewLuaScriptRetryable(snapshotSource)
	headsScript    = rueidis.NewLuaScriptRetryable(headsSource)
	schemaScript   = rueidis.NewLuaScript(schemaSource)
	reportScript   = rueidis.NewLuaScript(reportSource)
)
