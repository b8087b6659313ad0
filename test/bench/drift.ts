import { appendFileSync, chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { Deferred, Effect, Fiber, Random, type Scope, Stream } from "effect"
import { McpAgentService } from "../../src/gen/mcp/v1/mcp_pb.ts"
import * as GrpcClient from "../../src/grpc/client.ts"
import { login, make as makeNode, type Node, read } from "../support/agent.ts"
import { image, must } from "./site.ts"
import { more, percentile } from "./statistics.ts"

const kills = 200

/** When each kind of witness last knew of a death; by the clock of the machine, in milliseconds. */
interface Witness {
  /** Waits for the next one after now. */
  readonly next: Effect.Effect<Effect.Effect<number>>
  readonly saw: () => void
}

const witness = (): Witness => {
  let waiting: Deferred.Deferred<number> | undefined
  return {
    next: Effect.map(Deferred.make<number>(), (deferred) => {
      waiting = deferred
      return Deferred.await(deferred)
    }),
    saw: () => {
      if (waiting !== undefined) Deferred.unsafeDone(waiting, Effect.succeed(performance.now()))
      waiting = undefined
    }
  }
}

const within = <A>(what: string, seen: Effect.Effect<A>) =>
  Effect.timeoutFail(seen, { duration: "20 seconds", onTimeout: () => new Error(`not within 20 s: ${what}`) })

const api = (socketPath: string, method: string, path: string) =>
  Effect.async<string>((resume) => {
    const call = request({ socketPath, method, path: `/v4.0.0/libpod${path}` }, (answer) => {
      let text = ""
      answer.on("data", (chunk) => {
        text += chunk
      })
      answer.on("end", () => resume(Effect.succeed(text)))
    })
    call.on("error", (error) => resume(Effect.die(error)))
    call.end()
  })

/** A bare reader of podman's event stream. */
const bare = (socketPath: string, saw: () => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const filters = encodeURIComponent(JSON.stringify({ type: ["container"], event: ["died"] }))
      const call = request({ socketPath, path: `/v4.0.0/libpod/events?stream=true&filters=${filters}` }, (answer) => {
        const lines = createInterface({ input: answer }).on("error", () => undefined)
        lines.on("line", (line) => {
          if (line.includes('"died"')) saw()
        })
      })
      call.on("error", () => undefined)
      call.end()
      return call
    }),
    (call) => Effect.sync(() => call.destroy())
  )

/** The agent calls a script that writes into a pipe of names, which is read here. */
const alerting = (node: Node) => {
  const script = join(node.dir, "notify")
  const log = join(node.dir, "alerts")
  writeFileSync(log, "")
  writeFileSync(script, `#!/bin/sh\necho "$MCP_ALERT_KIND" >> '${log}'\n`)
  chmodSync(script, 0o755)
  appendFileSync(
    node.agentConfig,
    `[monitor]
alert_command = ["${script}"]
hold_for = "0s"
flap_threshold = 1000000
`
  )
  return log
}

/** Looks at a file as often as can be, since a watcher of files would be told later. */
const watchFile = (file: string, saw: () => void): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    let size = existsSync(file) ? readFileSync(file, "utf8") : ""
    const timer = setInterval(() => {
      const now = readFileSync(file, "utf8")
      if (now.slice(size.length).includes("stopped")) saw()
      size = now
    }, 1)
    yield* Effect.addFinalizer(() => Effect.sync(() => clearInterval(timer)))
  })

/**
 * A container is killed; when a bare reader of podman's events knows, when an event that the registry has is told to a
 * caller of WatchEvents, and when the alert command has started. All three in the same run, kill by kill.
 */
export const drift = Effect.gen(function* () {
  const node = yield* makeNode
  const log = alerting(node)
  yield* node.startMcias
  yield* node.startAgent
  yield* login(node, "admin")
  node.define(
    "shop",
    `name = "shop"\n[[components]]\nname = "web"\nimage = "${image}"\ncmd = ["sleep", "100000"]\nnetwork = "none"\nsettle = "0s"\nrestart = "on-failure:1"\n`
  )
  yield* must(node.mcp("deploy", "shop"))
  const client = yield* GrpcClient.make(McpAgentService, {
    address: node.agentAddress,
    caCert: node.ca.cert,
    metadata: Effect.succeed({ authorization: `Bearer ${read(node.token).trim()}` })
  })
  const [reader, event, alert, back] = [witness(), witness(), witness(), witness()]
  const watching = yield* Effect.forkScoped(
    Stream.runForEach(client.watchEvents({ service: "shop" }), ({ events }) =>
      Effect.sync(() => {
        for (const { kind, to } of events) {
          if (kind === "observed" && to === "exited") event.saw()
          if (kind === "observed" && to === "running") back.saw()
        }
      })
    )
  )
  const socket = join(node.dir, "agent/podman/podman.sock")
  yield* bare(socket, reader.saw)
  yield* watchFile(log, alert.saw)
  const samples = { reader: [] as Array<number>, event: [] as Array<number>, alert: [] as Array<number> }
  for (let n = 0; n <= kills; n++) {
    // podman looks at its log of events every 250 ms, for each reader at moments of its own: a kill must prefer none.
    yield* Effect.sleep(yield* Random.nextIntBetween(0, 250))
    const { State } = JSON.parse(yield* api(socket, "GET", "/containers/shop-web/json"))
    const seen = [yield* reader.next, yield* event.next, yield* alert.next] as const
    const running = yield* back.next
    const began = performance.now()
    process.kill(State.Pid, "SIGKILL")
    const [read, told, alerted] = yield* Effect.all(
      [within("podman's event", seen[0]), within("the event", seen[1]), within("the alert", seen[2])],
      { concurrency: "unbounded" }
    )
    if (n > 0) {
      samples.reader.push(read - began)
      samples.event.push(told - began)
      samples.alert.push(alerted - began)
    }
    // By hand: once the agent has done so its policy is used up.
    yield* api(socket, "POST", "/containers/shop-web/start")
    yield* within("its being seen as running", running)
  }
  yield* Fiber.interrupt(watching)
  const peer = ["bare reader of podman's events", samples.reader] as const
  const events = ["event recorded and told", samples.event] as const
  const alerts = ["alert command started", samples.alert] as const
  const p99 = (all: ReadonlyArray<number>) => percentile(all, 99)
  return [
    more("drift-event", 15, events, peer),
    more("drift-event, 99 of 100", 60, events, peer, "ms", p99),
    more("drift-alert", 50, alerts, events)
  ]
}).pipe(Effect.scoped, Effect.orDie)
