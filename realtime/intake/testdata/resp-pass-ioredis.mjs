// One ioredis client for cache and publications, as an app has it whose single connection is pointed at the door, unchanged.
import Redis from 'ioredis'

const [host, port, key] = process.argv[1].split(' ')
const redis = new Redis({ host, port: Number(port), password: key, db: 2, maxRetriesPerRequest: 3, lazyConnect: true, connectTimeout: 10000, commandTimeout: 5000 })
const refusal = (promise) => promise.then((answer) => `taken: ${answer}`, (err) => err.message)
redis.on('error', (err) => console.error(err.message))
await redis.connect()

const out = { missing: await redis.get('bergizi:cache:k1:none') }
out.set = await redis.set('bergizi:cache:k1:menu', JSON.stringify({ data: 'nasi' }), 'EX', 300)
out.setex = await redis.setex('production:realtime:p1', 300, '{}')
out.get = await redis.get('bergizi:cache:k1:menu')
out.ttl = await redis.ttl('production:realtime:p1')
out.binary = (await redis.set('binary', Buffer.from([0, 13, 10, 255])), await redis.getBuffer('binary')).toString('hex')
await redis.hset('hash', { a: '1', b: '2' })
out.hash = await redis.hgetall('hash')
await redis.sadd('bergizi:tag:k1:production', ...Array.from({ length: 3000 }, (_, i) => `bergizi:cache:k1:${i}`))
const tagged = await redis.smembers('bergizi:tag:k1:production')
out.tagged = tagged.length
out.deleted = await redis.del(...tagged, 'bergizi:cache:k1:menu')

const pipeline = redis.pipeline()
for (let n = 0; n < 100; n++) pipeline.set('n', n).publish('production:updates:k1', JSON.stringify({ n })).get('n')
out.pipelined = (await pipeline.exec()).every(([err, answer], i) => err === null && answer === ['OK', 0, String(Math.floor(i / 3))][i % 3])
const both = await Promise.all(Array.from({ length: 200 }, (_, n) =>
  n % 2 ? redis.get('n') : redis.publish('production:updates:k1', JSON.stringify({ n }))))
out.parallel = both.every((answer, n) => answer === (n % 2 ? '99' : 0))

out.multi = await refusal(redis.multi().set('t', '1').publish('production:updates:k1', '{"never":1}').exec())
out.afterMulti = await redis.get('t')
out.own = await refusal(redis.get('kentongan:s'))
out.flush = await refusal(redis.flushall())
out.config = await refusal(redis.config('GET', 'requirepass'))
out.wrongType = await refusal(redis.incr('hash'))
out.lpush = await refusal(redis.lpush('list', '1'))
out.afterwards = await redis.ping()
await redis.quit()
console.log(JSON.stringify(out))
process.exit(0)
