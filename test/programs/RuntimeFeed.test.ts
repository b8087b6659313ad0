import { assert, it } from "@effect/vitest"
import { Effect, Layer, Queue, Stream, TestClock } from "effect"
import { RuntimeFeed } from "../../src/programs/RuntimeFeed.ts"
import { ServiceLocks } from "../../src/programs/ServiceLocks.ts"
import { Container, ContainerRuntime, type RuntimeEvent } from "../../src/services/ContainerRuntime.ts"

const running = new Container({
  id: "c1",
  containerName: "shop-web",
  image: "web",
  imageId: "i1",
  state: "running",
  labels: {},
  ports: []
})
const event = (action: string): RuntimeEvent => ({
  at: 500,
  action,
  containerId: "c1",
  containerName: "shop-web",
  exitCode: action === "died" ? 3 : undefined,
  labels: {}
})
const settle = Effect.repeatN(Effect.yieldNow(), 200)

/** A runtime whose list is made at once and comes a second later, as from a busy podman. */
const slow = (events: Queue.Queue<RuntimeEvent>) =>
  Layer.mock(ContainerRuntime, {
    list: Effect.delay(Effect.succeed([running]), "1 second"),
    events: Stream.fromQueue(events)
  })

const feeding = <A, E>(
  body: (events: Queue.Queue<RuntimeEvent>, states: Effect.Effect<ReadonlyArray<string>>) => Effect.Effect<A, E>
) =>
  Effect.gen(function* () {
    const events = yield* Queue.unbounded<RuntimeEvent>()
    const layer = RuntimeFeed.Default({}).pipe(Layer.provideMerge(Layer.merge(slow(events), ServiceLocks.Default)))
    const states = Effect.flatMap(RuntimeFeed, (feed) =>
      Effect.map(feed.containers, (all) => [...all.values()].map(({ state }) => state))
    )
    yield* Effect.gen(function* () {
      const context = yield* Effect.context<RuntimeFeed>()
      yield* (yield* RuntimeFeed).follow
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      yield* body(events, Effect.provide(states, context))
    }).pipe(Effect.scoped, Effect.provide(layer))
  })

it.effect("what an event tells while a list is under way is not undone by the older list", () =>
  feeding((events, states) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* states, ["running"])
      // The next scan begins at 61 s, and its list comes a second later.
      yield* TestClock.adjust("60 seconds")
      yield* settle
      yield* events.offer(event("died"))
      yield* settle
      assert.deepStrictEqual(yield* states, ["exited"])
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(yield* states, ["exited"])
    })
  )
)

it.effect("a container that is removed while a list is under way does not come back with it", () =>
  feeding((events, states) =>
    Effect.gen(function* () {
      yield* TestClock.adjust("60 seconds")
      yield* settle
      yield* events.offer(event("remove"))
      yield* settle
      yield* TestClock.adjust("1 second")
      yield* settle
      assert.deepStrictEqual(yield* states, [])
      // By the list after it nothing of it is left to be laid over.
      yield* TestClock.adjust("61 seconds")
      yield* settle
      assert.deepStrictEqual(yield* states, ["running"])
    })
  )
)
