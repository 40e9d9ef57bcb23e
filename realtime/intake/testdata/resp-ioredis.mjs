// Talks to the Redis door with ioredis, as the existing app does: three connections, none of them knows of Kentongan.
import Redis from 'ioredis'

const [host, port, key] = process.argv[1].split(' ')
const settings = { host, port: Number(port), password: key, db: 2, maxRetriesPerRequest: 3, lazyConnect: true, connectTimeout: 10000, commandTimeout: 5000 }
const [commands, subscriber, publisher] = [0, 1, 2].map(() => new Redis(settings))
const refusal = (promise) => promise.then(() => 'taken', (err) => err.message)
for (const redis of [commands, subscriber, publisher]) {
  redis.on('error', (err) => console.error(err.message))
  await redis.connect()
}

const heard = []
setTimeout(() => {
  console.error('it hangs after', JSON.stringify(out), heard.length)
  process.exit(1)
}, 30000).unref()
subscriber.on('message', (channel, message) => heard.push([channel, message]))
subscriber.on('pmessage', (pattern, channel, message) => heard.push([pattern, channel, message]))
const out = { ping: await commands.ping(), status: publisher.status }
out.subscribed = await subscriber.subscribe('production:updates:k1')
out.psubscribed = await subscriber.psubscribe('*:alerts:k1')
out.foreignSubscribe = await refusal(commands.duplicate().subscribe('production:updates:k2'))
out.published = await publisher.publish('production:updates:k1', JSON.stringify({ n: 1 }))
out.sharded = await publisher.spublish('production:alerts:k1', JSON.stringify({ n: 2 }))
out.foreign = await refusal(publisher.publish('production:updates:k2', '{}'))
out.notJSON = await refusal(publisher.publish('production:updates:k1', 'hello'))
out.get = await refusal(commands.get('a'))
const pipeline = publisher.pipeline()
for (let n = 3; n < 203; n++) pipeline.publish('production:updates:k1', JSON.stringify({ n }))
out.pipelined = (await pipeline.exec()).filter(([err, n]) => err === null && n === 2).length
while (heard.length < 202) await new Promise((resolve) => setTimeout(resolve, 5))
out.heard = heard
out.unsubscribed = await subscriber.unsubscribe('production:updates:k1')
out.punsubscribed = await subscriber.punsubscribe()
out.afterwards = String(await subscriber.ping())
const stranger = new Redis({ ...settings, password: 'a-key-that-nobody-has', retryStrategy: null })
stranger.on('error', (err) => { out.stranger ??= err.message })
await refusal(stranger.connect().then(() => stranger.publish('production:updates:k1', '{}')))
stranger.disconnect()
await Promise.all([commands, subscriber, publisher].map((redis) => redis.quit()))
console.log(JSON.stringify(out))
process.exit(0)
