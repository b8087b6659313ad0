import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { plain, strip } from "../../src/cli/ansi.ts"
import { defaults, Globals } from "../../src/cli/Globals.ts"
import * as Progress from "../../src/cli/progress.ts"
import { advance, draw } from "../../src/cli/progress.ts"
import { Screen } from "../../src/cli/Screen.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"

const event = (event: MessageInitShape<typeof pb.DeployResponseSchema>["event"]) =>
  create(pb.DeployResponseSchema, { event: event as never })

const started = event({
  case: "started",
  value: {
    deployment: "01J",
    plan: [
      { component: "api", action: pb.Action.CREATE },
      { component: "worker", action: pb.Action.UNCHANGED }
    ]
  }
})
const step = (component: string, step: string, state: string, durationMs = 0n, message = "") =>
  event({ case: "step", value: { component, step, state, durationMs, message } })

const at = { now: 1640, frame: 0, widths: [6, 9] as const, columns: 44 }

it("a component has one line, which follows its steps", () => {
  const name = (component: string) => component
  const events = [
    started,
    step("api", "pull", "running"),
    event({ case: "pull", value: { component: "api", image: "x", message: "12 of 30 MB" } })
  ]
  const lines = events.reduce<ReadonlyArray<Parameters<typeof draw>[0]>>(
    (all, e) => advance(all, name, e, 1000) ?? all,
    []
  )
  assert.deepStrictEqual(
    lines.map((line) => draw(line, at, plain)),
    ["⠋ api     pull        640ms  12 of 30 MB", "✓ worker  unchanged"]
  )
  const done =
    advance(lines, name, step("api", "ready", "failed", 2300n, "exited with 1\u001b[2J and much more"), 3000) ?? []
  assert.strictEqual(draw(done[0] as never, at, plain), "✗ api     ready        2.3s  exited with 1…")
})

it("a step that is tried again is under way, with the reason, and what it waited for goes with the start", () => {
  const name = (component: string) => component || "web"
  const all = [
    step("", "wait", "running", 0n, "stop by eve"),
    started,
    step("api", "start", "running"),
    step("api", "start", "retrying", 0n, "podman is away")
  ]
  const lines = all.reduce<ReadonlyArray<Parameters<typeof draw>[0]>>((l, e) => advance(l, name, e, 1000) ?? l, [])
  assert.deepStrictEqual(
    lines.map((line) => draw(line, at, plain)),
    ["⠋ api     start       640ms  podman is away", "✓ worker  unchanged"]
  )
  const [done] = advance(lines, name, step("api", "start", "done", 900n), 2000) ?? []
  assert.strictEqual(draw(done as never, at, plain), "✓ api     start       900ms")
})

it.effect("in a pipe a step that is tried again says so once a reason", () =>
  Effect.gen(function* () {
    let err = ""
    const screen = Layer.succeed(Screen, {
      out: () => Effect.void,
      err: (text) =>
        Effect.sync(() => {
          err += text
        }),
      outIsTty: false,
      errIsTty: false,
      canAsk: false,
      size: Effect.succeed({ columns: 60, rows: 3 }),
      ask: () => Effect.succeed("")
    })
    yield* Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress.make(false)
        for (const message of ["podman is away", "podman is away", "the disk is full"]) {
          yield* progress.on("web", step("api", "start", "retrying", 0n, message))
          yield* progress.on("web", step("worker", "stop", "retrying", 0n, "podman is away"))
        }
        yield* progress.on("web", step("api", "start", "done", 900n))
      })
    ).pipe(Effect.provide(screen), Effect.provideService(Globals, defaults))
    assert.deepStrictEqual(err.split("\n"), [
      "api  start  retrying  podman is away",
      "worker  stop  retrying  podman is away",
      "api  start  retrying  the disk is full",
      "api  start  900ms",
      ""
    ])
  })
)

it.effect("the live view spins, and is drawn over itself", () =>
  Effect.gen(function* () {
    let err = ""
    const screen = Layer.succeed(Screen, {
      out: () => Effect.void,
      err: (text) =>
        Effect.sync(() => {
          err += text
        }),
      outIsTty: true,
      errIsTty: true,
      canAsk: true,
      size: Effect.succeed({ columns: 60, rows: 3 }),
      ask: () => Effect.succeed("")
    })
    yield* Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress.make(true)
        yield* progress.on("web", started)
        yield* progress.on("web", step("api", "create", "running"))
        yield* TestClock.adjust("250 millis")
      })
    ).pipe(Effect.provide(screen), Effect.provideService(Globals, defaults))
    const text = strip(err)
    assert.match(text, /⠋ web\/api.*create.*0ms/)
    assert.match(text, /⠙ web\/api.*100ms/)
    assert.match(text, /⠹ web\/api.*200ms/)
    // Three rows leave room for one line: the one under way.
    assert.notMatch(text, /web\/worker/)
    assert.include(err, "\u001b[1A")
  })
)
