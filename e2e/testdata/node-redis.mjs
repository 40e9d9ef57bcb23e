// As ioredis.mjs, with the other client that such apps use: node-redis.
import readline from 'node:readline'
import { createClient } from 'redis'

const redis = createClient({ url: process.argv[1] })
redis.on('error', () => {})
await redis.connect()
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { channel, message } = JSON.parse(line)
  console.log(await redis.publish(channel, JSON.stringify(message)).then(() => 'published', (err) => `error: ${err.message}`))
}
redis.destroy()
