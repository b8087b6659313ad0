import { assert } from "@effect/vitest"
import { Context, Effect, Layer, Schedule, type Scope } from "effect"
import { freePort, login, make, type Node, type Ran } from "./agent.ts"
import { image as busybox } from "./podman.ts"

/** What the shell of a component runs to serve one page. */
export const serving = (page: string) => `echo ${page} > /tmp/index.html; exec httpd -f -p 8080 -h /tmp`

export const healthCheck = (retries = 20) =>
  `[components.health]\nhttp = "/"\nport = 8080\ninterval = "50ms"\nretries = ${retries}`

interface Component {
  readonly name?: string
  readonly port?: number
  readonly image?: string
  /** What its shell runs; `cmd` takes its place. */
  readonly script?: string
  readonly cmd?: ReadonlyArray<string>
  /** More lines of the definition. */
  readonly keys?: string
}

/** A component that serves one page at a fixed port. */
export const component = ({ cmd, image = busybox, keys = healthCheck(), name = "web", port, script }: Component) => `
[[components]]
name = "${name}"
image = "${image}"
cmd = ${JSON.stringify(cmd ?? ["sh", "-c", script ?? serving("old")])}
stop_timeout = "0s"
${port === undefined ? "" : `ports = ["127.0.0.1:${port}:8080"]`}
${keys}
`

/** A shop whose one component, "web", only sleeps. */
export const sleepingShop = `name = "shop"
[[components]]
name = "web"
image = "${busybox}"
cmd = ["sleep", "1000"]
settle = "50ms"
stop_timeout = "0s"
`

/** A shop with one component, "web". */
export const shop = (web: Component & { readonly port: number }) => `name = "shop"\n${component(web)}`

export const get = (port: number) =>
  Effect.promise(() => fetch(`http://127.0.0.1:${port}/`).then((response) => response.text()))

/** Id and name of every container, and whether it runs. */
export const containers = (node: Node) =>
  Effect.map(node.podman.run("ps", "--all", "--no-trunc", "--format", "{{.ID}} {{.Names}} {{.Status}}"), (text) =>
    text
      .split("\n")
      .map((line) => line.replace(/ Up .*/, " running"))
      .sort()
  )

/** A node whose shop serves the page "old" at `port`. */
export class OldShop extends Context.Tag("test/OldShop")<
  OldShop,
  {
    readonly node: Node
    readonly port: number
    /** Asserts that the version of before, and nothing else, is there and answers. */
    readonly serves: Effect.Effect<void>
  }
>() {
  /** `prepare` is done to the node before anything on it is started. */
  static readonly layerWith = (prepare: (node: Node) => Effect.Effect<void, never, Scope.Scope>) =>
    Layer.scoped(
      OldShop,
      Effect.gen(function* () {
        const node = yield* make
        yield* prepare(node)
        yield* node.startMcias
        yield* node.startAgent
        yield* login(node, "admin")
        const port = yield* freePort
        node.define("shop", shop({ port }))
        const deployed = yield* node.mcp("deploy", "shop")
        assert.strictEqual(deployed.code, 0, deployed.stderr)
        const before = yield* containers(node)
        const serves = Effect.gen(function* () {
          // podman's list may be behind for a moment; a version that stays down fails all the same.
          yield* Effect.retry(
            Effect.map(containers(node), (now) => assert.deepStrictEqual(now, before)).pipe(Effect.sandbox),
            { times: 20, schedule: Schedule.spaced("100 millis") }
          ).pipe(Effect.unsandbox)
          assert.strictEqual(yield* get(port), "old\n")
        })
        return { node, port, serves }
      })
    )

  static readonly layer = OldShop.layerWith(() => Effect.void)
}

/** Asks again, with a pause for the machine, until the answer is good. */
export const until = <A>(what: Effect.Effect<A>, good: (answer: A) => boolean) =>
  Effect.repeat(Effect.delay(what, "100 millis"), { until: good })

/** One line that says what failed and why, and one that says what to do. */
export const told = (ran: Ran, why: RegExp, next: RegExp, code = 1) => {
  assert.strictEqual(ran.code, code, ran.stdout + ran.stderr)
  const lines = ran.stderr.trimEnd().split("\n")
  const said = lines.filter((line) => line.startsWith("mcp: "))
  assert.strictEqual(said.length, 1, ran.stderr)
  assert.match(said[0] ?? "", why)
  const nexts = lines.filter((line) => /^ +next: /.test(line))
  assert.strictEqual(nexts.length, 1, ran.stderr)
  assert.match(nexts[0] ?? "", next)
}
