// Talks to the Redis door with node-redis, in RESP2 or RESP3.
import { createClient } from 'redis'

const [address, key, RESP] = process.argv[1].split(' ')
const settings = { url: `redis://default:${key}@${address}/1`, RESP: Number(RESP), name: 'kitchen' }
const refusal = (promise) => promise.then(() => 'taken', (err) => err.message)
const publisher = createClient(settings)
const subscriber = publisher.duplicate()
for (const client of [publisher, subscriber]) {
  client.on('error', (err) => console.error(err.message))
  await client.connect()
}

const heard = []
setTimeout(() => {
  console.error('it hangs after', JSON.stringify(out), heard.length)
  process.exit(1)
}, 30000).unref()
const out = { ping: await publisher.ping(), name: await publisher.clientGetName() }
await subscriber.subscribe('production:updates:k1', (message, channel) => heard.push([channel, message]))
await subscriber.pSubscribe('*:alerts:k1', (message, channel) => heard.push([channel, message]))
out.foreignSubscribe = await refusal(subscriber.subscribe('production:updates:k2', () => {}))
out.published = await publisher.publish('production:updates:k1', JSON.stringify({ n: 1 }))
out.sharded = await publisher.sPublish('production:alerts:k1', JSON.stringify({ n: 2 }))
out.foreign = await refusal(publisher.publish('production:updates:k2', '{}'))
out.notJSON = await refusal(publisher.publish('production:updates:k1', 'hello'))
out.get = await refusal(publisher.get('a'))
const answers = []
for (let n = 3; n < 203; n++) answers.push(publisher.publish('production:updates:k1', JSON.stringify({ n })))
out.pipelined = (await Promise.all(answers)).filter((n) => n === 2).length
while (heard.length < 202) await new Promise((resolve) => setTimeout(resolve, 5))
out.heard = heard
await subscriber.unsubscribe('production:updates:k1')
await subscriber.pUnsubscribe()
out.afterwards = String(await subscriber.ping())
const stranger = createClient({ ...settings, url: `redis://default:a-key-that-nobody-has@${address}`, socket: { reconnectStrategy: false } })
stranger.on('error', () => {}) // told below
out.stranger = await refusal(stranger.connect())
await Promise.all([publisher, subscriber].map((client) => client.close()))
console.log(JSON.stringify(out))
process.exit(0)
