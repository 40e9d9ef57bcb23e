// The same with node-redis, in RESP2 or RESP3.
import { createClient } from 'redis'

const [address, key, RESP] = process.argv[1].split(' ')
const redis = createClient({ url: `redis://default:${key}@${address}/2`, RESP: Number(RESP) })
const refusal = (promise) => promise.then((answer) => `taken: ${answer}`, (err) => err.message)
redis.on('error', (err) => console.error(err.message))
await redis.connect()

const out = { missing: await redis.get('bergizi:cache:k1:none') }
out.set = await redis.set('bergizi:cache:k1:menu', JSON.stringify({ data: 'nasi' }), { EX: 300 })
out.setex = await redis.setEx('production:realtime:p1', 300, '{}')
out.get = await redis.get('bergizi:cache:k1:menu')
out.ttl = await redis.ttl('production:realtime:p1')
out.binary = '000d0aff'
await redis.hSet('hash', { a: '1', b: '2' })
out.hash = await redis.hGetAll('hash')
await redis.sAdd('bergizi:tag:k1:production', Array.from({ length: 3000 }, (_, i) => `bergizi:cache:k1:${i}`))
const tagged = [...await redis.sMembers('bergizi:tag:k1:production')]
out.tagged = tagged.length
out.deleted = await redis.del([...tagged, 'bergizi:cache:k1:menu'])

const pipelined = []
for (let n = 0; n < 100; n++) {
  pipelined.push(redis.set('n', String(n)), redis.publish('production:updates:k1', JSON.stringify({ n })), redis.get('n'))
}
out.pipelined = (await Promise.all(pipelined)).every((answer, i) => answer === ['OK', 0, String(Math.floor(i / 3))][i % 3])
const both = await Promise.all(Array.from({ length: 200 }, (_, n) =>
  n % 2 ? redis.get('n') : redis.publish('production:updates:k1', JSON.stringify({ n }))))
out.parallel = both.every((answer, n) => answer === (n % 2 ? '99' : 0))

out.multi = await refusal(redis.multi().set('t', '1').publish('production:updates:k1', '{"never":1}').exec())
out.afterMulti = await redis.get('t')
out.own = await refusal(redis.get('kentongan:s'))
out.flush = await refusal(redis.flushAll())
out.config = await refusal(redis.configGet('requirepass'))
out.wrongType = await refusal(redis.incr('hash'))
out.lpush = await refusal(redis.lPush('list', '1'))
out.afterwards = await redis.ping()
await redis.close()
console.log(JSON.stringify(out))
process.exit(0)
