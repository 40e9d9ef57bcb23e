// The client in Node, which has no WebSocket of its own before 22: it is given the one of ws. Each line of input is answered with what
// is known by then.
import { createInterface } from 'node:readline'
import WebSocket from 'ws'

const [index, url, token, channel] = process.argv.slice(1)
const { createClient } = await import(index)
const client = createClient({ url, WebSocket, token: () => token })
const got = []
client.subscribe(channel, { message: (m) => got.push(m.data.productionId), gap: (g) => got.push(`gap ${g.cause}`) })

for await (const _ of createInterface({ input: process.stdin })) {
  const { health, transport } = client.status()
  console.log(JSON.stringify({ health, transport, got }))
}
client.close()
