// Publishes as the existing app does, with ioredis: for each line {"channel","message"} one PUBLISH.
import readline from 'node:readline'
import Redis from 'ioredis'

const redis = new Redis(process.argv[1], { maxRetriesPerRequest: 3, lazyConnect: true })
redis.on('error', () => {}) // ioredis reconnects by itself; a publish that fails says so below
await redis.connect()
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { channel, message } = JSON.parse(line)
  console.log(await redis.publish(channel, JSON.stringify(message)).then(() => 'published', (err) => `error: ${err.message}`))
}
redis.disconnect()
