import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { freePort, type Node, start } from "./agent.ts"

/** An image registry on loopback; podmans that this process starts from now on speak plain HTTP with it. */
export const imageRegistry = (node: Node) =>
  Effect.gen(function* () {
    const address = `127.0.0.1:${yield* freePort}`
    const config = join(node.dir, "registry.yml")
    const storage = { filesystem: { rootdirectory: join(node.dir, "registry") } }
    writeFileSync(config, JSON.stringify({ version: 0.1, storage, http: { addr: address } }))
    yield* Effect.tap(start("docker-registry", ["serve", config]), (daemon) => daemon.line("listening on"))
    const conf = join(node.dir, "registries.conf")
    writeFileSync(conf, `[[registry]]\nlocation = "${address}"\ninsecure = true\n`)
    process.env.CONTAINERS_REGISTRIES_CONF = conf
    return address
  })
