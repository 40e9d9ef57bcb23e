// What all peers share: the command line of the floor, and plain PUBLISH of all kitchens.
import Redis from "ioredis";

const PREFIX = "production:updates:";

/** Calls deliver(kitchen, message) with each message, as a Buffer. Arguments of the program: redis HOST PORT. */
export async function listen(deliver) {
  const [kind, host, port] = process.argv.slice(2);
  if (kind !== "redis" || !Number(port)) {
    console.error("usage: redis HOST PORT");
    process.exit(2);
  }
  const redis = new Redis({ host, port: Number(port) });
  redis.on("pmessageBuffer", (_pattern, channel, message) => deliver(String(channel).slice(PREFIX.length), message));
  await redis.psubscribe(PREFIX + "*");
}

/** Returns the kitchen that a URL ends with: /api/ws/KITCHEN. */
export function kitchenOf(url) {
  return url.slice(url.lastIndexOf("/") + 1);
}
