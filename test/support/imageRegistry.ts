import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { type Daemon, freePort, type Node, start } from "./agent.ts"

const serve = (node: Node, address: string, more: { readonly http?: object; readonly auth?: object }) =>
  Effect.gen(function* () {
    const config = join(node.dir, "registry.yml")
    const storage = { filesystem: { rootdirectory: join(node.dir, "registry") } }
    const { http, ...rest } = more
    writeFileSync(config, JSON.stringify({ version: 0.1, storage, http: { addr: address, ...http }, ...rest }))
    return yield* Effect.tap(start("docker-registry", ["serve", config]), (daemon) => daemon.line("listening on"))
  })

/** An image registry on loopback; podmans that this process starts from now on speak plain HTTP with it. */
export const imageRegistry = (node: Node) =>
  Effect.gen(function* () {
    const address = `127.0.0.1:${yield* freePort}`
    yield* serve(node, address, {})
    const conf = join(node.dir, "registries.conf")
    writeFileSync(conf, `[[registry]]\nlocation = "${address}"\ninsecure = true\n`)
    process.env.CONTAINERS_REGISTRIES_CONF = conf
    return address
  })

export const registryPassword = "secret-word"

/** As `podman login` writes it. */
export const authFile = (node: Node, address: string, name: string, password: string) => {
  const file = join(node.dir, name)
  const auth = Buffer.from(`mcp:${password}`).toString("base64")
  writeFileSync(file, JSON.stringify({ auths: { [address]: { auth } } }))
  return file
}

/** One with TLS that asks for a password; podmans that this process starts from now on trust its certificate. */
export const lockedRegistry = (node: Node) =>
  Effect.gen(function* () {
    const address = `127.0.0.1:${yield* freePort}`
    const users = join(node.dir, "htpasswd")
    writeFileSync(users, "mcp:$2y$05$2DT/Ep6BjCUrJqPuhzWHA.llN4gZjIj/F0UhinKuCuZokEq99AunW\n")
    const daemon: Daemon = yield* serve(node, address, {
      http: { tls: { certificate: node.tls.cert, key: node.tls.key } },
      auth: { htpasswd: { realm: "test", path: users } }
    })
    process.env.SSL_CERT_FILE = node.tls.ca
    return { address, daemon }
  })
