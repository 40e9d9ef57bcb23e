// Socket.IO: each kitchen is a room. WebSocket alone, without its packet recovery.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen } from "./redis.mjs";

const server = createServer();
const io = new Server(server, {
  transports: ["websocket"],
  pingInterval: 600_000, // its ping is a message of its own, which the bench's driver does not speak
});

io.on("connection", (socket) => socket.join(socket.handshake.query.kitchen));

await listen((kitchen, message) => io.to(kitchen).emit("message", JSON.parse(String(message))));
server.listen(0, "127.0.0.1", 4096, () => console.log(server.address().port));
