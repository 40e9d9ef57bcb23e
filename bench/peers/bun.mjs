// Bun, whose sockets are uWebSockets: each kitchen is a topic.
import { kitchenOf, listen } from "./redis.mjs";

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch(request, server) {
    if (server.upgrade(request, { data: kitchenOf(request.url) })) return undefined;
    return new Response("this speaks WebSocket", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    open: (socket) => socket.subscribe(socket.data),
    message: () => {},
  },
});

await listen((kitchen, message) => server.publish(kitchen, String(message)));
console.log(server.port);
