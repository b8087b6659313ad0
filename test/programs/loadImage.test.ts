import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, FastCheck as fc, Option, Stream, TestClock } from "effect"
import { CallerContext } from "../../src/agent/CallerContext.ts"
import { loadImageCall } from "../../src/agent/handlers/images.ts"
import type { Rule } from "../../src/domain/Authorization.ts"
import { LoadImageRequestSchema, LoadImageResponseSchema } from "../../src/gen/mcp/v1/mcp_pb.ts"
import { RpcError } from "../../src/grpc/status.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { explain } from "../../src/programs/explain.ts"
import { undeploy } from "../../src/programs/lifecycle.ts"
import { ContainerRuntime } from "../../src/services/ContainerRuntime.ts"
import { configOf, layerOf, type MadeLayer, newImage, piecesOf } from "../support/imageParts.ts"
import { deployed, node, specOf } from "./support.ts"

const name = "localhost/shop/web:1"
type Message = MessageInitShape<typeof LoadImageRequestSchema>
type Needs = Effect.Effect.Context<ReturnType<typeof call>>
type Start = NonNullable<Extract<Message, { readonly start?: unknown }>["start"]>

const amd64 = (layers: ReadonlyArray<{ readonly digest: string }>) => configOf(layers, { architecture: "amd64" })
const announced = (layers: ReadonlyArray<MadeLayer>) =>
  layers.map(({ digest, size }) => ({ digest, size: BigInt(size) }))

const call = (messages: Stream.Stream<Message>, rules?: ReadonlyArray<Rule>) =>
  loadImageCall(Stream.map(messages, (message) => create(LoadImageRequestSchema, message))).pipe(
    Effect.map((answer) => create(LoadImageResponseSchema, answer)),
    Effect.provideService(CallerContext, {
      who: { username: "ada", accountType: "human", roles: ["user"] },
      policy: { serviceAccounts: undefined, rules },
      verb: "deploy"
    })
  )

const layersOf = (...contents: ReadonlyArray<string>) => Effect.forEach(contents, (text) => layerOf("file", text))

/** Data in pieces that end anywhere. */
const data = (layers: ReadonlyArray<MadeLayer>): ReadonlyArray<Message> => {
  const all = Buffer.concat(layers.map(({ bytes }) => bytes))
  return Array.from({ length: Math.ceil(all.length / 999) }, (_, i) => ({ data: all.subarray(i * 999, (i + 1) * 999) }))
}

const startOf = (all: ReadonlyArray<MadeLayer>, sent = all, change: Partial<Start> = {}): Message => ({
  start: { service: "shop", reference: name, config: amd64(all), layers: announced(sent), ...change } as Start
})

const load = (all: ReadonlyArray<MadeLayer>, sent = all, change: Partial<Start> = {}) =>
  call(Stream.fromIterable([startOf(all, sent, change), ...data(sent), { last: true }]))

const ask = (all: ReadonlyArray<MadeLayer>) =>
  Effect.map(call(Stream.succeed(startOf(all, [], { ask: true }))), ({ missing }) => missing)

const idOf = (reference: string) =>
  Effect.flatMap(ContainerRuntime, (runtime) =>
    Effect.map(runtime.image(reference), (found) => Option.getOrUndefined(found)?.id)
  )

/** The reason that the caller is told. */
const reasonOf = <A, R>(effect: Effect.Effect<A, Parameters<typeof explain>[0] | RpcError, R>) =>
  Effect.map(Effect.flip(effect), (error) => (error instanceof RpcError ? error.reason : explain(error).reason))

const shop = (image: string) => specOf({ name: "shop", components: [{ name: "web", image }] })

describe("an image that is loaded", () => {
  it.effect("is asked for first, and only layers that the node lacks are sent", () =>
    Effect.gen(function* () {
      const [base, one, two] = yield* layersOf("base".repeat(900), "1", "2") as Effect.Effect<
        [MadeLayer, MadeLayer, MadeLayer]
      >
      assert.deepStrictEqual(yield* ask([base, one]), [base.digest, one.digest])
      const first = yield* load([base, one])
      assert.deepInclude(first, { layers: 2, bytes: BigInt(base.size + one.size), wasHere: false })
      assert.strictEqual(yield* idOf(name), first.imageId)
      assert.deepStrictEqual(yield* ask([base, two, base]), [two.digest])
      const second = yield* load([base, two], [two])
      assert.deepInclude(second, { layers: 1, bytes: BigInt(two.size), wasHere: false })
      assert.strictEqual(yield* idOf(name), second.imageId)
      assert.deepInclude(yield* load([base, two], []), { layers: 0, wasHere: true, imageId: second.imageId })
    }).pipe(Effect.provide(node()))
  )

  it.effect("is called latest where no tag is said, as podman does it", () =>
    Effect.gen(function* () {
      const layers = yield* layersOf("a")
      const { imageId } = yield* load(layers, layers, { reference: "localhost/shop/web" })
      assert.strictEqual(yield* idOf("localhost/shop/web:latest"), imageId)
    }).pipe(Effect.provide(node()))
  )

  it.effect("is what the next deploy runs, without a pull; --pull says that no image registry has it", () =>
    Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      const { imageId } = yield* load(yield* layersOf("a"))
      const { result } = yield* deployed(shop(name))
      assert.strictEqual(result.state, "succeeded")
      assert.strictEqual((yield* control.containers)[0]?.imageId, imageId)
      assert.deepStrictEqual(
        (yield* control.calls).filter((called) => called.startsWith("pull")),
        []
      )
      const pulled = yield* Effect.flip(deployed(shop(name), { pull: true }))
      assert.strictEqual(explain(pulled).reason, "IMAGE_PULL_FAILED")
      assert.include(explain(pulled).nextStep, "without --pull")
    }).pipe(Effect.provide(node()))
  )

  it.effect("is kept until it was deployed once, and after that while anything uses it", () =>
    Effect.gen(function* () {
      const control = yield* FakeRuntimeControl
      yield* control.addRemoteImage("localhost/blog:1")
      yield* control.addRemoteImage("localhost/blog:2")
      const blog = (tag: string) =>
        deployed(specOf({ name: "blog", components: [{ name: "blog", image: `localhost/blog:${tag}` }] }))
      const { imageId: early } = yield* load(yield* layersOf("a"))
      yield* blog("1")
      assert.strictEqual(yield* idOf(name), early)
      // Its name is another's now, and nothing was ever deployed with it.
      const { imageId: late } = yield* load(yield* layersOf("b"))
      yield* blog("2")
      assert.isUndefined(yield* idOf(early))
      assert.strictEqual(yield* idOf(name), late)
      yield* deployed(shop(name))
      yield* undeploy("shop")
      yield* blog("1")
      assert.isUndefined(yield* idOf(late))
    }).pipe(Effect.provide(node()))
  )

  it.effect("is loaded again, as the next step says, when the node has lost it", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const { imageId } = yield* load(yield* layersOf("a"))
      yield* deployed(shop(name))
      yield* undeploy("shop")
      yield* runtime.removeImage(imageId)
      const lost = yield* Effect.flip(deployed(shop(name)))
      assert.include(explain(lost).nextStep, "mcp build <service> --load")
      yield* load(yield* layersOf("a"))
      assert.strictEqual((yield* deployed(shop(name))).result.state, "succeeded")
    }).pipe(Effect.provide(node()))
  )

  it.effect("stays when somebody else had brought it", () =>
    Effect.gen(function* () {
      const runtime = yield* ContainerRuntime
      const control = yield* FakeRuntimeControl
      yield* control.addRemoteImage("localhost/blog:1")
      const layers = yield* layersOf("a")
      const byHand = newImage("localhost/by/hand:1", layers, layers, { architecture: "amd64" })
      const { config, configBytes } = byHand
      yield* runtime.loadImage(byHand, piecesOf(layers))
      yield* load(layers, [], { config: configBytes })
      yield* deployed(shop(name))
      yield* undeploy("shop")
      yield* deployed(specOf({ name: "blog", components: [{ name: "blog", image: "localhost/blog:1" }] }))
      assert.strictEqual(yield* idOf(config.id), config.id)
    }).pipe(Effect.provide(node()))
  )
})

describe("what cannot be an image", () => {
  it.effect("is refused, says why, and leaves the node as it was", () =>
    Effect.gen(function* () {
      const [one, two] = (yield* layersOf("1", "2")) as [MadeLayer, MadeLayer]
      const wrong = { ...one, bytes: Buffer.from(one.bytes).fill(7, 600, 601) }
      const cases: ReadonlyArray<
        readonly [string, Effect.Effect<unknown, Parameters<typeof explain>[0] | RpcError, Needs>]
      > = [
        ["START_MISSING", call(Stream.empty)],
        ["START_MISSING", call(Stream.make({ data: new Uint8Array(3) }, { last: true }))],
        ["IMAGE_REFUSED", load([one], [one], { reference: `localhost/web@sha256:${"0".repeat(64)}` })],
        ["IMAGE_REFUSED", load([one], [one], { reference: `localhost/web:1@sha256:${"0".repeat(64)}` })],
        ["IMAGE_REFUSED", load([one], [one], { reference: "UPPER/web:1" })],
        ["IMAGE_REFUSED", load([one], [one], { service: "../shop" })],
        ["IMAGE_REFUSED", load([one], [one], { config: Buffer.from("{}") })],
        ["IMAGE_REFUSED", load([one], [one], { config: Buffer.alloc(1024 * 1024 + 1, " ") })],
        ["IMAGE_REFUSED", load([], [])],
        ["IMAGE_REFUSED", load([one], [one, two])],
        ["IMAGE_REFUSED", load([one], [one, one])],
        ["IMAGE_REFUSED", load([one], [one], { layers: [{ digest: one.digest, size: 2n ** 63n }] as never })],
        ["IMAGE_REFUSED", load([one], [one], { layers: [{ digest: one.digest, size: 0n }] as never })],
        ["IMAGE_FOREIGN", load([one], [one], { config: configOf([one], { architecture: "s390x" }) })],
        ["IMAGE_FOREIGN", load([one], [one], { config: configOf([one], { architecture: "amd64", os: "windows" }) })],
        ["LAYER_GONE", load([one, two], [two])],
        // Not what was announced.
        ["LOAD_BROKEN", call(Stream.make(startOf([one]), { data: wrong.bytes }, { last: true }))],
        [
          "LOAD_BROKEN",
          call(Stream.make(startOf([one]), { data: one.bytes }, { data: new Uint8Array(1) }, { last: true }))
        ],
        ["LOAD_BROKEN", call(Stream.make(startOf([one]), { data: one.bytes.subarray(1) }, { last: true }))],
        ["LOAD_BROKEN", call(Stream.make(startOf([one, two]), { data: one.bytes }, { last: true }))],
        [
          "LOAD_BROKEN",
          call(Stream.make(startOf([one, two]), { data: two.bytes }, { data: one.bytes }, { last: true }))
        ],
        // Whole, and yet nobody said so.
        ["LOAD_BROKEN", call(Stream.make(startOf([one]), { data: one.bytes }))]
      ]
      for (const [at, [reason, refused]] of cases.entries()) {
        assert.strictEqual(yield* reasonOf(refused), reason, `case ${at}`)
        assert.deepStrictEqual(yield* (yield* FakeRuntimeControl).images, [], `case ${at}`)
      }
    }).pipe(Effect.provide(node()))
  )

  it.effect("is not waited for longer than a minute", () =>
    Effect.gen(function* () {
      const layers = yield* layersOf("1")
      const waiting = yield* Effect.fork(
        reasonOf(
          call(
            Stream.concat(
              Stream.make(startOf(layers), { data: layers[0]?.bytes.subarray(0, 9) ?? new Uint8Array() }),
              Stream.never
            )
          )
        )
      )
      yield* TestClock.adjust("61 seconds")
      assert.strictEqual(yield* Fiber.join(waiting), "LOAD_BROKEN")
    }).pipe(Effect.provide(node()))
  )

  it.effect("is not begun when it has no room", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* reasonOf(load(yield* layersOf("1"))), "DISK_FULL")
      assert.notInclude((yield* (yield* FakeRuntimeControl).calls).join(), "loadImage")
    }).pipe(Effect.provide(node(undefined, () => 64 * 1024 ** 2)))
  )

  it.effect("whatever messages come, they end in an answer, and an image is there only when it is whole", () =>
    Effect.gen(function* () {
      const [one, two] = (yield* layersOf("1", "2".repeat(700))) as [MadeLayer, MadeLayer]
      const layer = fc.constantFrom(one, two)
      const bytes = fc.oneof(
        fc.constantFrom(one.bytes, two.bytes, Buffer.concat([one.bytes, two.bytes])),
        fc.tuple(layer, fc.nat(3000), fc.nat(3000)).map(([{ bytes }, from, to]) => bytes.subarray(from, to)),
        fc.uint8Array({ maxLength: 40 })
      )
      const start = fc.record({
        service: fc.constantFrom("shop", "", "a/b", "x".repeat(99)),
        reference: fc.oneof({ weight: 4, arbitrary: fc.constant(name) }, { weight: 1, arbitrary: fc.string() }),
        config: fc.oneof(
          { weight: 4, arbitrary: fc.constantFrom(amd64([one]), amd64([one, two])) },
          { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }) },
          { weight: 1, arbitrary: fc.json().map((text) => Buffer.from(text)) }
        ),
        ask: fc.boolean(),
        layers: fc.array(
          fc.record({
            digest: fc.oneof(fc.constantFrom(one.digest, two.digest), fc.string()),
            size: fc.oneof(
              fc.constantFrom(BigInt(one.size), BigInt(two.size)),
              fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
            )
          }),
          { maxLength: 3 }
        )
      })
      const right = fc.constantFrom(startOf([one]), startOf([one, two]))
      const message = fc.oneof(
        fc.record({ data: bytes }),
        fc.record({ last: fc.constant(true) }),
        fc.record({ start }),
        fc.record({ start, data: bytes, last: fc.boolean() })
      )
      const messages = fc.tuple(fc.oneof(right, message), fc.array(message, { maxLength: 5 }))
      const control = yield* FakeRuntimeControl
      const runtime = yield* ContainerRuntime
      let whole = 0
      for (const [first, rest] of fc.sample(messages, { numRuns: 500, seed: 7 })) {
        const exit = yield* Effect.exit(call(Stream.fromIterable([first, ...rest] as ReadonlyArray<Message>)))
        const ids = yield* control.images
        if (Exit.isFailure(exit)) {
          assert.isTrue(Option.isSome(Cause.failureOption(exit.cause)), Cause.pretty(exit.cause))
          assert.deepStrictEqual(ids, [])
        } else if (exit.value.imageId !== "") {
          whole += 1
          assert.deepStrictEqual(ids, [exit.value.imageId])
          yield* runtime.removeImage(exit.value.imageId)
        }
      }
      assert.isAbove(whole, 3)
    }).pipe(Effect.provide(node()))
  )
})

describe("a caller narrowed to services", () => {
  const rules: ReadonlyArray<Rule> = [
    { principals: ["account:ada"], verbs: ["deploy"], services: ["shop", "shop-two"] }
  ]
  const as = (layers: ReadonlyArray<MadeLayer>, reference: string, service = "shop") =>
    call(Stream.fromIterable([startOf(layers, layers, { reference, service }), ...data(layers), { last: true }]), rules)

  it.effect("loads images of its own services' names, and none that another service may take for its own", () =>
    Effect.gen(function* () {
      const layers = yield* layersOf("1")
      yield* (yield* FakeRuntimeControl).addImage("localhost/team/shop-two:1")
      yield* as(layers, "localhost/team/shop:1")
      yield* as(layers, "localhost/team/shop-two:1")
      yield* deployed(specOf({ name: "shop-two", components: [{ name: "web", image: "localhost/team/shop-two:1" }] }))
      yield* as(layers, "localhost/team/shop-two:2", "shop-two")
      const refused = [
        as(layers, "localhost/team/shop-two:2"),
        as(layers, "docker.io/library/postgres:16"),
        as(layers, "localhost/team/shopping:1"),
        as(layers, "localhost/team/blog:1", "blog")
      ]
      for (const one of refused) assert.strictEqual(yield* reasonOf(one), "PERMISSION_DENIED")
    }).pipe(Effect.provide(node()))
  )
})
