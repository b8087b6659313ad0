// Prints the wanted port of 127.0.0.1, or a free one when it is taken.
import { createServer } from "node:net"

const listen = (port) => {
  const server = createServer()
  server.once("error", () => listen(0))
  server.listen(port, "127.0.0.1", () => {
    console.log(server.address().port)
    server.close()
  })
}
listen(Number(process.argv[2] ?? 0))
