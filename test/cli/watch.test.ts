import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Option, Schedule, Stream, TestClock } from "effect"
import { strip } from "../../src/cli/ansi.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, info, live, mcp, type World } from "./support.ts"

const web = (observed: pb.ObservedState) =>
  create(pb.ServiceStatusSchema, {
    info: info("web", { name: "api" }),
    live: [live({ component: "api", observed, ...(observed === pb.ObservedState.EXITED ? { exitCode: 1 } : {}) })]
  })

/** Says every two seconds that something is otherwise. */
const watchEvents = () =>
  Stream.fromSchedule(Schedule.spaced("2 seconds")).pipe(Stream.as(create(pb.WatchEventsResponseSchema)))

/** Runs twice the same, then ended, and then the token does not count any more, which ends the watch. */
const rift = () => {
  const states = [pb.ObservedState.RUNNING, pb.ObservedState.RUNNING, pb.ObservedState.EXITED]
  return agent({
    watchEvents,
    getServiceStatus: () => {
      const state = states.shift()
      return state === undefined
        ? Effect.fail(new RpcError({ code: Code.UNAUTHENTICATED, reason: "TOKEN_INVALID", detail: "expired" }))
        : Effect.succeed(create(pb.GetServiceStatusResponseSchema, { services: [web(state)] }))
    }
  })
}

const watched = (argv: ReadonlyArray<string>, world: World = {}) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(mcp(argv, { agents: { rift: rift() }, ...world }))
    while (Option.isNone(yield* Fiber.poll(fiber))) yield* TestClock.adjust("1 second")
    return yield* Fiber.join(fiber)
  })

const ESC = "\u001b"

describe("status --watch", () => {
  it.effect("on a terminal redraws in place, in one write a look, and gives the screen back when it ends", () =>
    Effect.gen(function* () {
      const ran = yield* watched(["status", "--watch"], { tty: true, columns: 120 })
      assert.isTrue(ran.out.startsWith(`${ESC}[?1049h`))
      assert.isTrue(ran.out.endsWith(`${ESC}[?1049l`))
      const looks = ran.out.split(`${ESC}[H`).slice(1)
      assert.isAtLeast(looks.length, 3)
      for (const [i, wanted] of [/running/, /exited \(1\)/].entries()) assert.match(strip(looks.at(-i) ?? ""), wanted)
      // A line that gets shorter leaves nothing of the longer one, and nothing is wiped before it is drawn over.
      for (const look of looks) {
        for (const line of look.split("\n")) assert.include(line, `${ESC}[K`)
        assert.notInclude(look, `${ESC}[2J`)
      }
      assert.strictEqual(ran.code, 5)
      assert.match(strip(ran.err), /mcp: status failed on rift: expired\n/)
    })
  )

  it.effect("in a pipe says only what has changed; as JSON a line each", () =>
    Effect.gen(function* () {
      const text = yield* watched(["status", "-w"])
      assert.deepStrictEqual(text.out.match(/^2026-.*|web on rift: .*/gm), [
        "2026-11-25T12:00:00Z",
        "web on rift: running as desired",
        "2026-11-25T12:00:04Z",
        "web on rift: running as desired"
      ])
      assert.notInclude(text.out, ESC)
      const json = yield* watched(["status", "--watch", "--json"], { tty: true })
      const seen = json.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).services[0].components[0].observed)
      assert.deepStrictEqual(seen, ["running", "exited"])
    })
  )

  it.effect("never draws more than the terminal has lines", () =>
    Effect.gen(function* () {
      const many = create(pb.ServiceStatusSchema, {
        info: info("web", ...Array.from({ length: 40 }, (_, i) => ({ name: `c${i}` })))
      })
      let asked = 0
      const big = agent({
        watchEvents,
        getServiceStatus: () =>
          asked++ === 0
            ? Effect.succeed(create(pb.GetServiceStatusResponseSchema, { services: [many] }))
            : Effect.fail(new RpcError({ code: Code.UNAUTHENTICATED, reason: "TOKEN_INVALID", detail: "expired" }))
      })
      const ran = yield* watched(["status", "--watch"], { tty: true, agents: { rift: big } })
      const [, look = ""] = ran.out.split(`${ESC}[H`)
      assert.isAtMost(look.split("\n").length, 24)
      assert.match(look, /… \d+ more lines/)
    })
  )

  it.effect("asks a node again when that says something has changed, and no other", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const node = (name: string, news: Stream.Stream<pb.WatchEventsResponse>) =>
        agent({
          watchEvents: () => news,
          getServiceStatus: () => {
            asked.push(name)
            return Effect.succeed(create(pb.GetServiceStatusResponseSchema, { services: [] }))
          }
        })
      const once = Stream.concat(
        Stream.fromEffect(Effect.delay(Effect.succeed(create(pb.WatchEventsResponseSchema)), "1 minute")),
        Stream.never
      )
      const agents = { rift: node("rift", once), orion: node("orion", Stream.never) }
      const fiber = yield* Effect.fork(mcp(["status", "--watch"], { tty: true, agents }))
      for (let i = 0; i < 120; i++) yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(asked, ["rift", "orion", "rift"])
    })
  )

  it.effect("a first look that fails is told like any other command's failure", () =>
    Effect.gen(function* () {
      const dead = agent({
        getServiceStatus: () =>
          Effect.fail(new RpcError({ code: Code.UNAUTHENTICATED, reason: "TOKEN_INVALID", detail: "expired" }))
      })
      const ran = yield* watched(["status", "--watch"], { tty: true, agents: { rift: dead } })
      assert.deepStrictEqual([ran.out, ran.code], ["", 5])
      const both = yield* mcp(["status", "--watch", "--exit-code"], { agents: { rift: dead } })
      assert.strictEqual(both.code, 2)
    })
  )
})
