// Answers each line with its arguments and the line, and shows that the packages resolve from here.
import readline from 'node:readline'
import Redis from 'ioredis'
import { createClient } from 'redis'
import { encode } from '@auth/core/jwt'
import nextAuthJwt from 'next-auth/jwt'
import { WebSocketServer } from 'ws'

const found = [Redis, createClient, encode, nextAuthJwt.encode, WebSocketServer].every((f) => typeof f === 'function')
for await (const line of readline.createInterface({ input: process.stdin })) {
  console.log(JSON.stringify({ found, args: process.argv.slice(1), line }))
}
