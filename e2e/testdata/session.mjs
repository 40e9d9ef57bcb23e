// Prints the session cookie's value as the existing app makes it. Arguments: v5 (@auth/core) or v4 (next-auth 4), the secret, the
// cookie's name, the claims as JSON, and how many of them, a line each: sessions of one user, no two the same.
import { encode as encodeV5 } from '@auth/core/jwt'
import nextAuthJwt from 'next-auth/jwt'

const [version, secret, cookie, claims, count] = process.argv.slice(1)
const params = { secret, token: JSON.parse(claims), maxAge: 8 * 60 * 60 }
const encode = version === 'v5' ? () => encodeV5({ ...params, salt: cookie }) : () => nextAuthJwt.encode(params)
for (let i = 0; i < Number(count); i++) console.log(await encode())
