// One ioredis client, with the settings of the existing app, for all that it does: for each line, a list of words, one command. It is
// answered with the answer as JSON, or with the text of the error.
import readline from 'node:readline'
import Redis from 'ioredis'

const redis = new Redis(process.argv[1], { maxRetriesPerRequest: 3, lazyConnect: true, connectTimeout: 10000, commandTimeout: 5000 })
redis.on('error', () => {}) // it reconnects by itself; a command that fails says so below
await redis.connect()
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line)
  console.log(await redis.call(name, ...args).then((answer) => JSON.stringify(answer), (err) => `error: ${err.message}`))
}
redis.disconnect()
