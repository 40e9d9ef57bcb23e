package redis

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it
	_ "embed"
	"encoding/hex"

	"github.com/redis/rueidis"
)

var (
	//go:embed store.lua
	storeSource string
	//go:embed publish.lua
	publishOwn string
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

	turnScript     = rueidis.NewLuaScript(turnSource)
	membersScript  = rueidis.NewLuaScript(membersSource)
	deviceScript   = rueidis.NewLuaScript(deviceSource)
	readScript     = rueidis.NewLuaScriptRetryable(readSource)
	snapshotScript = rueidis.NewLuaScriptRetryable(snapshotSource)
	headsScript    = rueidis.NewLuaScriptRetryable(headsSource)
	reportScript   = rueidis.NewLuaScript(reportSource)

	publishSource = storeSource + publishOwn
	stampScript   = rueidis.NewLuaScript(storeSource + stampSource)
)

// publishSHA is the name by which Redis knows the publishing script, once it was loaded. The publisher calls it itself,
// so that batches stay batches.
func publishSHA() string {
	sum := sha1.Sum([]byte(publishSource)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}
