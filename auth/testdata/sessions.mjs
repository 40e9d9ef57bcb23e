// Makes session cookies with the encoders of @auth/core and next-auth 4, and reads what we made with the decoder of
// @auth/core. Takes one JSON argument and writes one JSON answer.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const job = JSON.parse(process.argv[1])
const modules = process.cwd() + '/node_modules/'
const require = createRequire(process.cwd() + '/')

const v5 = await import('@auth/core/jwt')
const { SessionStore: Store5 } = await import(pathToFileURL(modules + '@auth/core/lib/utils/cookie.js'))
const v4 = require('next-auth/jwt')
const { SessionStore: Store4 } = require(modules + 'next-auth/core/lib/cookie.js')
const logger = { debug() {}, warn() {}, error() {} }

const encoders = {
  v5: {
    token: (claims, name, secret) => v5.encode({ token: claims, secret, salt: name, maxAge: 8 * 3600 }),
    store: (name) => new Store5({ name, options: {} }, {}, logger),
  },
  v4: {
    token: (claims, name, secret) => v4.encode({ token: claims, secret, maxAge: 8 * 3600 }),
    store: (name) => new Store4({ name, options: {} }, { cookies: {} }, logger),
  },
}

const cookies = []
for (const { version, name, secret, size } of job.make) {
  const claims = { sub: 'usr_1', name: 'Ibu Sari', sppgId: 'sppg_7', userRole: 'SPPG_KEPALA', userType: 'SPPG_ADMIN' }
  if (size > 0) claims.permissions = 'x'.repeat(size)
  const { token, store } = encoders[version]
  const made = store(name).chunk(await token(claims, name, secret), {})
  cookies.push(made.filter((c) => c.value !== '').map(({ name, value }) => ({ name, value })))
}

const read = []
for (const { token, name, secret } of job.read) {
  read.push(await v5.decode({ token, secret, salt: name }))
}

const versions = ['@auth/core', 'next-auth'].map((p) => JSON.parse(require('node:fs').readFileSync(modules + p + '/package.json')).version)
process.stdout.write(JSON.stringify({ cookies, read, versions }))
