import { createSocket } from "node:dgram"
import { createServer } from "node:net"
import { Effect, Layer } from "effect"
import { HostPorts } from "../services/HostPorts.ts"

type Asked = Parameters<HostPorts["Type"]["isFree"]>[0]

/** Another error than "in use", such as an address that the node does not have, is podman's to name. */
const isTaken = (error: Error) => "code" in error && error.code === "EADDRINUSE"

const tcp = ({ ip, port }: Asked) =>
  Effect.async<boolean>((resume) => {
    const server = createServer()
    server.once("error", (error) => resume(Effect.succeed(!isTaken(error))))
    server.listen({ port, exclusive: true, ...(ip === undefined ? {} : { host: ip }) }, () =>
      server.close(() => resume(Effect.succeed(true)))
    )
    return Effect.sync(() => server.close())
  })

const udp = ({ ip, port }: Asked) =>
  Effect.async<boolean>((resume) => {
    const socket = createSocket(ip?.includes(":") ? "udp6" : "udp4")
    socket.once("error", (error) => {
      socket.close()
      resume(Effect.succeed(!isTaken(error)))
    })
    socket.bind({ port, exclusive: true, ...(ip === undefined ? {} : { address: ip }) }, () =>
      socket.close(() => resume(Effect.succeed(true)))
    )
  })

/** The ports of this host, each tried by binding it for a moment. */
export const layer: Layer.Layer<HostPorts> = Layer.succeed(HostPorts, {
  isFree: (port) => (port.protocol === "tcp" ? tcp(port) : udp(port))
})
