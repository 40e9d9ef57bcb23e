// Node with the package ws: each kitchen is a set of sockets. No session, no history, no bound for what waits.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { kitchenOf, listen } from "./redis.mjs";

const kitchens = new Map();
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });

sockets.on("connection", (socket, request) => {
  const kitchen = kitchenOf(request.url);
  if (!kitchens.has(kitchen)) kitchens.set(kitchen, new Set());
  const members = kitchens.get(kitchen);
  members.add(socket);
  socket.on("close", () => {
    members.delete(socket);
    if (members.size === 0) kitchens.delete(kitchen);
  });
  socket.on("error", () => socket.terminate());
});

await listen((kitchen, message) => {
  for (const socket of kitchens.get(kitchen) ?? []) socket.send(message, { binary: false });
});
server.listen(0, "127.0.0.1", 4096, () => console.log(server.address().port));
