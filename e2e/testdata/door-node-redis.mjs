// As door-ioredis.mjs, with node-redis in RESP3.
import readline from 'node:readline'
import { createClient } from 'redis'

const redis = createClient({ url: process.argv[1], RESP: 3, commandOptions: { timeout: 5000 } })
redis.on('error', () => {})
await redis.connect()
for await (const line of readline.createInterface({ input: process.stdin })) {
  console.log(await redis.sendCommand(JSON.parse(line)).then((answer) => JSON.stringify(answer), (err) => `error: ${err.message}`))
}
redis.destroy()
