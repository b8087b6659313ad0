import { once } from "node:events"
import { createServer } from "node:net"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import type { Node } from "./agent.ts"
import { image } from "./podman.ts"

/** Somebody else listens at the port for as long as the scope lasts. */
export const listener = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer().listen(port, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close())
  )

/** A container that is not the agent's; what is answered asserts that nobody has touched it. */
export const container = (node: Node, name: string) =>
  Effect.gen(function* () {
    const start = ["run", "--detach", "--name", name, image, "sleep", "1000"]
    const id = yield* Effect.acquireRelease(node.podman.run(...start), () =>
      node.podman.run("rm", "--force", "--time", "0", name)
    )
    return Effect.map(node.podman.run("inspect", "--format", "{{.Id}} {{.State.Status}}", name), (now) =>
      assert.strictEqual(now, `${id} running`)
    )
  })
