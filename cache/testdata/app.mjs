// The cache service of the existing app, as it behaves: an own text, written from what is known of it. It reads one command a line, as
// a JSON list [name, ...arguments], and answers each with one line of JSON.
import Redis from 'ioredis';
import readline from 'node:readline';

const redis = new Redis(process.argv[1], { maxRetriesPerRequest: 3, connectTimeout: 10000, commandTimeout: 5000, lazyConnect: true });

const join = (...parts) => parts.filter((p) => p !== undefined && p !== null && p !== '').join(':');
const entryKey = (key, sppgId) => (sppgId ? join('bergizi', 'cache', sppgId, key) : join('cache', 'global', key));
const tagKey = (tag, sppgId) => (sppgId ? join('bergizi', 'tag', sppgId, tag) : join('tag', 'global', tag));

const app = {
  // get returns the data of an entry; null for a miss. What is no JSON is a hit without data.
  async get(key, sppgId) {
    const name = entryKey(key, sppgId);
    const text = await redis.get(name);
    if (!text) return { hit: false };
    let entry;
    try {
      entry = JSON.parse(text);
    } catch {
      return { hit: true, data: undefined };
    }
    if (!entry) return { hit: false };
    if (new Date() > new Date(entry.expiresAt)) {
      await redis.del(name);
      return { hit: false };
    }
    return { hit: true, data: entry.data, entry: { ...entry, data: undefined } };
  },

  // set writes an entry and its tags, one await each. skew is how many milliseconds the clock of this machine is ahead.
  async set(key, data, { ttl = 1800, tags = [], sppgId, version = '1.0', skew = 0 } = {}) {
    const name = entryKey(key, sppgId);
    const now = new Date(Date.now() + skew);
    const entry = { data, createdAt: now, expiresAt: new Date(now.getTime() + ttl * 1000), version, sppgId, tags };
    await redis.setex(name, ttl, JSON.stringify(entry));
    for (const tag of tags) {
      await redis.sadd(tagKey(tag, sppgId), name);
      await redis.expire(tagKey(tag, sppgId), ttl + 3600);
    }
    return true;
  },

  async invalidate(key, sppgId) {
    return redis.del(entryKey(key, sppgId));
  },

  async invalidateByTag(tag, sppgId) {
    const members = await redis.smembers(tagKey(tag, sppgId));
    for (const member of members) await redis.del(member);
    await redis.del(tagKey(tag, sppgId));
    return members.length;
  },

  // invalidateSppgCache matches nothing: its patterns are anchored, and the names begin with "bergizi:".
  async invalidateSppgCache(sppgId) {
    const names = [...(await redis.keys(`cache:*:${sppgId}:*`)), ...(await redis.keys(`tag:*:${sppgId}:*`))];
    if (names.length > 0) await redis.del(...names);
    return names.length;
  },

  // times is for measurements: how many milliseconds n calls take, one after the other. The text "#" in an argument becomes the number of the
  // call, counted from first.
  async times(n, first, name, ...args) {
    const began = performance.now();
    for (let i = first; i < first + n; i++) {
      await app[name](...args.map((a) => (typeof a === 'string' ? a.replace('#', i) : a)));
    }
    return performance.now() - began;
  },

  // rush has many callers ask for one entry, each of which loads it if there is none, as the app's services do. It returns how many loaded.
  async rush(callers, ms, key, data, options) {
    let loads = 0;
    const one = async () => {
      if ((await app.get(key, options.sppgId)).hit) return;
      loads++;
      await new Promise((done) => setTimeout(done, ms));
      await app.set(key, data, options);
    };
    await Promise.all(Array.from({ length: callers }, one));
    return loads;
  },

  // raw is for the test.
  async raw(command, ...args) {
    return redis.call(command, ...args);
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const [name, ...args] = JSON.parse(line);
  const answer = await app[name](...args);
  console.log(JSON.stringify(answer ?? null));
}
redis.disconnect();
