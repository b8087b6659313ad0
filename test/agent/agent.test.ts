import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Fiber, HashMap, Layer, Logger, Ref, Schedule, Stream } from "effect"
import { AgentState } from "../../src/agent/AgentState.ts"
import { Background } from "../../src/agent/Background.ts"
import { listen } from "../../src/agent/serve.ts"
import type { Policy } from "../../src/domain/Authorization.ts"
import { type ExecRequestSchema, McpAgentService, type SyncDesiredStateResponse } from "../../src/gen/mcp/v1/mcp_pb.ts"
import * as GrpcClient from "../../src/grpc/client.ts"
import { toProto } from "../../src/grpc/spec.ts"
import { codeName } from "../../src/grpc/status.ts"
import * as FakeIdentity from "../../src/layers/FakeIdentity.ts"
import { FakeRuntimeControl } from "../../src/layers/FakeRuntime.ts"
import { Caller } from "../../src/services/Identity.ts"
import { node, shop } from "../programs/support.ts"
import { issue, makeCa } from "../support/certs.ts"

const caller = (username: string, ...roles: ReadonlyArray<string>) =>
  new Caller({
    account: `id-${username}`,
    username,
    accountType: roles.length === 0 ? "system" : "human",
    roles,
    expiresAt: Date.now() + 3_600_000
  })
const callers = {
  "ada-token": caller("ada", "user"),
  "guest-token": caller("eve", "guest"),
  "ci-token": caller("ci"),
  "old-token": new Caller({ ...caller("old", "user"), expiresAt: 1 })
}

const ca = await makeCa()
const certificate = await issue(ca)
const anything: Policy = { serviceAccounts: undefined, rules: undefined }

/** An agent with fake podman and fake MCIAS behind its real server, and a client for each token. */
const agent = (policy: Policy = anything) =>
  Effect.gen(function* () {
    const lines = yield* Ref.make<ReadonlyArray<Record<string, unknown>>>([])
    const logger = Logger.make(({ annotations, message }) => {
      const entry = { message: String(message), ...Object.fromEntries(HashMap.toEntries(annotations)) }
      Effect.runSync(Ref.update(lines, (all) => [...all, entry]))
    })
    const down = yield* Ref.make(false)
    const known: Record<string, Caller> = { ...callers }
    const dir = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-agent-"))),
      (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
    )
    const certFile = join(dir, "agent.pem")
    const keyFile = join(dir, "agent.key")
    writeFileSync(certFile, certificate.cert)
    writeFileSync(keyFile, certificate.key)
    const context = yield* Layer.build(
      Layer.mergeAll(
        node(),
        FakeIdentity.layer(known, down),
        AgentState.Default,
        Background.Default,
        Logger.replace(Logger.defaultLogger, logger)
      )
    )
    const { server } = yield* Effect.provide(
      listen({
        host: "127.0.0.1",
        port: 0,
        certFile,
        keyFile,
        policy,
        recheckEvery: "50 millis",
        eventRetention: "30 days"
      }),
      context
    )
    const control = yield* Effect.provide(FakeRuntimeControl, context)
    const state = yield* Effect.provide(AgentState, context)
    yield* state.set("serving")
    for (const version of ["1", "2"]) {
      yield* control.addImage(`localhost/web:${version}`)
      yield* control.addImage(`localhost/worker:${version}`)
    }
    const as = (token: string | undefined) =>
      GrpcClient.make(McpAgentService, {
        address: server.address,
        caCert: ca.cert,
        metadata: Effect.succeed(token === undefined ? {} : { authorization: `Bearer ${token}` })
      })
    const audit = Effect.map(Ref.get(lines), (all) => all.filter((line) => line.message === "rpc"))
    return { as, audit, control, state, down, lines, revoke: (token: string) => Effect.sync(() => delete known[token]) }
  })

const quick = { components: [], force: false, pull: false, noWait: false }
/** A service that settles at once: these tests run on the real clock. */
const spec = (version: string) => {
  const full = shop(version)
  const [first, ...rest] = full.components.map((component) => ({ ...component, settle: 0 }))
  return toProto({ ...full, components: first ? [first, ...rest] : full.components })
}

describe("a call to the agent", () => {
  it.scopedLive.each([
    ["without a token", undefined, "UNAUTHENTICATED", "TOKEN_MISSING"],
    ["with an unknown token", "no-such-token", "UNAUTHENTICATED", "TOKEN_INVALID"],
    ["with an expired token", "old-token", "UNAUTHENTICATED", "TOKEN_EXPIRED"],
    ["by a guest", "guest-token", "PERMISSION_DENIED", "ACCOUNT_REFUSED"]
  ] as const)("%s is refused, with a next step, and audited", ([, token, code, reason]) =>
    Effect.gen(function* () {
      const { as, audit } = yield* agent()
      const error = yield* Effect.flip((yield* as(token)).listServices({}))
      assert.deepStrictEqual([codeName(error.code), error.reason], [code, reason])
      assert.include(error.nextStep, "mcp login")
      const [line] = yield* audit
      assert.deepInclude(line, { method: "/mcp.v1.McpAgentService/ListServices", code, reason })
    })
  )

  it.scopedLive("is audited with method, caller, subject, code and time, and never with its token", () =>
    Effect.gen(function* () {
      const { as, audit, lines } = yield* agent()
      const ada = yield* as("ada-token")
      yield* Stream.runDrain(ada.deploy({ ...quick, spec: spec("1") }))
      yield* ada.stopService({ service: "shop", component: "web" })
      const [deploy, stop] = yield* audit
      assert.deepInclude(deploy, { caller: "ada", account_type: "human", service: "shop", code: "OK" })
      assert.deepInclude(stop, { caller: "ada", service: "shop", component: "web", code: "OK" })
      assert.isNumber(stop?.duration_ms)
      assert.isString(stop?.request_id)
      assert.notInclude(JSON.stringify(yield* Ref.get(lines)), "ada-token")
    })
  )

  it.scopedLive("fails and does not pass while MCIAS is out of reach", () =>
    Effect.gen(function* () {
      const { as, down } = yield* agent()
      yield* Ref.set(down, true)
      const error = yield* Effect.flip((yield* as("ada-token")).listServices({}))
      assert.deepStrictEqual([codeName(error.code), error.reason], ["UNAVAILABLE", "IDENTITY_UNAVAILABLE"])
    })
  )

  it.scopedLive("needs no token for HealthCheck, which tells the agent's state alone", () =>
    Effect.gen(function* () {
      const { as, state } = yield* agent()
      yield* state.set("booting")
      const anybody = yield* as(undefined)
      assert.strictEqual((yield* anybody.healthCheck({})).state, "booting")
      const error = yield* Effect.flip((yield* as("ada-token")).stopService({ service: "shop" }))
      assert.strictEqual(error.reason, "BOOTING")
    })
  )

  it.scopedLive("that stays open ends when its token is revoked, and goes on while MCIAS is out of reach", () =>
    Effect.gen(function* () {
      const { as, control, down, revoke } = yield* agent()
      const ada = yield* as("ada-token")
      yield* control.addImage("localhost/web:1", { logs: ["up"] })
      yield* Stream.runDrain(ada.deploy({ ...quick, spec: spec("1") }))
      const open = yield* Deferred.make<void>()
      const following = yield* Effect.fork(
        ada.logs({ service: "shop", component: "web", follow: true }).pipe(
          Stream.runForEach(() => Deferred.succeed(open, undefined)),
          Effect.flip
        )
      )
      yield* Deferred.await(open)
      yield* Ref.set(down, true)
      yield* Effect.sleep("200 millis")
      assert.isNull(following.unsafePoll())
      yield* Ref.set(down, false)
      yield* revoke("ada-token")
      const error = yield* Fiber.join(following).pipe(Effect.timeout("5 seconds"))
      assert.strictEqual(error.reason, "TOKEN_INVALID")
    })
  )

  it.scopedLive("is held to [[auth.rules]]: the verb, the service, and what reaches beyond the service", () =>
    Effect.gen(function* () {
      const { as } = yield* agent({
        serviceAccounts: undefined,
        rules: [{ principals: ["account:ci"], verbs: ["deploy", "read"], services: ["shop"] }]
      })
      const ci = yield* as("ci-token")
      yield* Stream.runDrain(ci.deploy({ ...quick, spec: spec("1") }))
      const stop = yield* Effect.flip(ci.stopService({ service: "shop" }))
      assert.strictEqual(stop.message, "ci lacks the verb operate")
      const other = yield* Effect.flip(Stream.runDrain(ci.deploy({ ...quick, spec: { ...spec("1"), name: "blog" } })))
      assert.strictEqual(other.message, "ci lacks the verb deploy on blog")
      const base = spec("1")
      const [web] = base.components
      const reaching = { ...base, components: web ? [{ ...web, dependsOn: [], volumes: ["/etc:/etc:ro"] }] : [] }
      const beyond = yield* Effect.flip(Stream.runDrain(ci.deploy({ ...quick, spec: reaching })))
      assert.strictEqual(beyond.message, "ci lacks the verb admin on shop, which volume /etc:/etc:ro needs")
      const ada = yield* Effect.flip((yield* as("ada-token")).listServices({}))
      assert.strictEqual(ada.reason, "PERMISSION_DENIED")
    })
  )
})

describe("deploying over the wire", () => {
  it.scopedLive("streams the steps and ends with the result; plan, list and live check agree", () =>
    Effect.gen(function* () {
      const { as } = yield* agent()
      const ada = yield* as("ada-token")
      const before = yield* ada.plan({ spec: spec("1"), components: [], force: false })
      assert.deepStrictEqual(
        before.components.map((c) => c.why),
        ["new", "new"]
      )
      const events = Chunk.toReadonlyArray(yield* Stream.runCollect(ada.deploy({ ...quick, spec: spec("1") })))
      const last = events.at(-1)?.event
      assert.strictEqual(last?.case === "result" ? last.value.state : undefined, "succeeded")
      assert.includeMembers(
        events.map((e) => e.event.case),
        ["started", "step", "result"]
      )
      const { services } = yield* ada.listServices({})
      assert.deepStrictEqual(
        services.map((s) => [s.name, s.node, s.components.map((c) => c.container)]),
        [["shop", "rift", ["shop-web", "shop-worker"]]]
      )
      const { components } = yield* ada.liveCheck({ service: "shop" })
      assert.deepStrictEqual(
        components.map((c) => [c.component, c.version, c.ports]),
        [
          ["web", "1", ["127.0.0.1:8080:80"]],
          ["worker", "1", []]
        ]
      )
    })
  )

  it.scopedLive("a deploy goes on when its caller goes away", () =>
    Effect.gen(function* () {
      const { as, control } = yield* agent()
      const ada = yield* as("ada-token")
      yield* control.setLatency("create", 200)
      // The first event is taken and the call cancelled: the rest happens without anybody listening.
      yield* Stream.runDrain(Stream.take(ada.deploy({ ...quick, spec: spec("1") }), 1))
      yield* Effect.repeat(control.containers, {
        until: (all) => all.length === 2 && all.every((c) => c.state === "running"),
        schedule: Schedule.spaced("20 millis")
      }).pipe(Effect.timeout("20 seconds"))
    })
  )

  it.scopedLive("all that is wrong with a spec comes back at once, by field, and nothing is done", () =>
    Effect.gen(function* () {
      const { as, control } = yield* agent()
      const ada = yield* as("ada-token")
      const base = spec("1")
      const broken = {
        ...base,
        components: base.components.map((c) => ({ ...c, image: "No Image!", ports: ["99999:80"] }))
      }
      const error = yield* Effect.flip(Stream.runDrain(ada.deploy({ ...quick, spec: broken })))
      assert.strictEqual(codeName(error.code), "INVALID_ARGUMENT")
      assert.deepStrictEqual(error.violations?.map((v) => v.field).sort(), [
        "components.0.image",
        "components.0.ports.0",
        "components.1.image",
        "components.1.ports.0"
      ])
      assert.deepStrictEqual(yield* control.containers, [])
    })
  )

  it.scopedLive("an unknown service is named with its nearest neighbour", () =>
    Effect.gen(function* () {
      const { as } = yield* agent()
      const ada = yield* as("ada-token")
      yield* Stream.runDrain(ada.deploy({ ...quick, spec: spec("1") }))
      const error = yield* Effect.flip(ada.stopService({ service: "shpo" }))
      assert.deepStrictEqual(
        [codeName(error.code), error.reason, error.service, error.message],
        ["NOT_FOUND", "SERVICE_NOT_FOUND", "shpo", "no service named shpo on this node; did you mean shop?"]
      )
    })
  )

  it.scopedLive("a command is run for who may deploy, and what it is never gets into the audit line", () =>
    Effect.gen(function* () {
      const readers = [{ principals: ["account:ci"], verbs: ["read"], services: ["*"] }] as const
      const { as, audit, control, lines } = yield* agent({
        serviceAccounts: undefined,
        rules: [...readers, { principals: ["role:user"], verbs: ["read", "deploy"], services: ["*"] }]
      })
      const ended = yield* Deferred.make<void>()
      yield* control.program("localhost/web:1", {
        attach: ({ argv, input, write }) =>
          argv[0] === "wait"
            ? Effect.onInterrupt(Effect.zipRight(write("stdout", "here"), Effect.never), () =>
                Deferred.succeed(ended, undefined)
              )
            : Effect.as(
                Stream.runForEach(input, (bytes) => write("stderr", bytes)),
                3
              )
      })
      const ada = yield* as("ada-token")
      yield* Stream.runDrain(ada.deploy({ ...quick, spec: spec("1") }))
      const start = {
        case: "start" as const,
        value: { service: "shop", component: "web", argv: ["sh", "s3cret"], stdin: true }
      }
      const input = [
        { case: "stdin" as const, value: Buffer.from("typed") },
        { case: "closeStdin" as const, value: true }
      ]
      const asked = Stream.fromIterable([start, ...input].map((message) => ({ message })))
      const answers = yield* Stream.runCollect(ada.exec(asked))
      assert.deepStrictEqual(
        Chunk.toReadonlyArray(answers).map(({ message }) => message.case),
        ["started", "stderr", "exitCode"]
      )
      const denied = yield* Effect.flip(Stream.runDrain((yield* as("ci-token")).exec(asked)))
      assert.strictEqual(codeName(denied.code), "PERMISSION_DENIED")
      const refused = (message: MessageInitShape<typeof ExecRequestSchema>["message"]) =>
        Effect.map(
          Effect.flip(Stream.runDrain(ada.exec(Stream.make(message === undefined ? {} : { message })))),
          (error) => [codeName(error.code), error.reason]
        )
      const first = (change: object) => refused({ case: "start", value: { ...start.value, ...change } })
      assert.deepStrictEqual(yield* refused(input[0]), ["INVALID_ARGUMENT", "START_MISSING"])
      assert.deepStrictEqual(yield* first({ argv: [] }), ["INVALID_ARGUMENT", "COMMAND_MISSING"])
      assert.deepStrictEqual(yield* first({ env: ["=s3cret"] }), ["INVALID_ARGUMENT", "ENV_MALFORMED"])
      // A caller that goes away ends it.
      const waiting = { case: "start" as const, value: { ...start.value, argv: ["wait", "s3cret"] } }
      yield* ada.exec(Stream.make({ message: waiting })).pipe(
        Stream.takeUntil(({ message }) => message.case === "stdout"),
        Stream.runDrain
      )
      yield* Effect.timeout(Deferred.await(ended), "10 seconds")
      const found = (yield* audit).filter(({ method }) => String(method).endsWith("/Exec"))
      assert.deepInclude(found[0], { caller: "ada", service: "shop", component: "web", code: "OK" })
      assert.notInclude(JSON.stringify(yield* Ref.get(lines)), "s3cret")
    })
  )
})

describe("syncing and purging over the wire", () => {
  const other = (name: string) => {
    const [web] = spec("1").components
    return { ...spec("1"), name, components: web ? [{ ...web, dependsOn: [], ports: [] }] : [] }
  }
  const outcomes = (events: Chunk.Chunk<SyncDesiredStateResponse>) =>
    Chunk.toReadonlyArray(events)
      .flatMap(({ event }) => (event.case === "service" ? [event.value] : []))
      .map(({ outcome, reason, service }) => `${service} ${outcome}${reason === "" ? "" : ` ${reason}`}`)

  it.scopedLive("who is narrowed to some services syncs and purges those alone, and sees of others nothing", () =>
    Effect.gen(function* () {
      const { as, audit, control } = yield* agent({
        serviceAccounts: undefined,
        rules: [
          { principals: ["account:ci"], verbs: ["deploy"], services: ["shop"] },
          { principals: ["role:user"], verbs: ["deploy", "read"], services: ["*"] }
        ]
      })
      const [ada, ci] = [yield* as("ada-token"), yield* as("ci-token")]
      const all = yield* Stream.runCollect(ada.syncDesiredState({ specs: [other("mail"), other("blog")] }))
      assert.sameMembers(outcomes(all), ["mail deployed", "blog deployed"])
      yield* control.addStranger("blog-helper")
      yield* control.addStranger("shop-helper")
      const specs = [spec("1"), other("mail"), { name: "bad name" }]
      const events = yield* Stream.runCollect(ci.syncDesiredState({ specs }))
      assert.deepStrictEqual(outcomes(events), [
        ...["mail failed PERMISSION_DENIED", "bad name failed PERMISSION_DENIED", "shop deployed"]
      ])
      const last = Chunk.toReadonlyArray(events).at(-1)?.event
      assert.deepStrictEqual(last?.case === "result" ? last.value.unmanaged.map((c) => c.container) : [], [
        "shop-helper"
      ])
      assert.deepStrictEqual(last?.case === "result" ? last.value.undefined : [], [])
      const lines = yield* audit
      assert.isTrue(
        lines.some(({ service }) => service === "shop,mail,bad name"),
        JSON.stringify(lines)
      )
      const runtime = yield* control.containers
      for (const { containerName, id } of runtime) if (containerName === "blog-web") yield* control.kill(id, 0)
      assert.deepStrictEqual(
        (yield* ci.purgeComponents({})).entries.map((e) => e.service),
        ["shop", "shop"]
      )
      const refused = yield* Effect.flip(ci.purgeComponents({ service: "blog" }))
      assert.strictEqual(refused.message, "ci lacks the verb deploy on blog")
      const wanted = { defined: [spec("1"), other("mail")], dryRun: true }
      const { entries } = yield* ada.purgeComponents(wanted)
      assert.deepStrictEqual(
        entries.map((e) => `${e.service}/${e.component} ${e.purged} ${e.removedContainer}`),
        ["blog/web true blog-web", "blog/ true "]
      )
    })
  )

  it.scopedLive("a definition that is no service fails alone, and a sync goes on when its caller goes away", () =>
    Effect.gen(function* () {
      const { as } = yield* agent()
      const ada = yield* as("ada-token")
      const alone = yield* Stream.runCollect(ada.syncDesiredState({ specs: [{ name: "bad name" }] }))
      assert.deepStrictEqual(outcomes(alone), ["bad name failed SPEC_INVALID"])
      // The call is left once the first is done: the second still has to settle.
      const slow = { ...other("blog"), components: other("blog").components.map((c) => ({ ...c, settleMs: 700n })) }
      const specs = [other("mail"), slow]
      const first = yield* Stream.runCollect(Stream.take(ada.syncDesiredState({ specs }), 1))
      assert.deepStrictEqual(outcomes(first), ["mail deployed"])
      const deployed = Effect.map(ada.listServices({}), ({ services }) => services.map(({ name }) => name))
      const done = { until: (all: ReadonlyArray<string>) => all.length === 2, schedule: Schedule.spaced("20 millis") }
      yield* Effect.repeat(deployed, done).pipe(Effect.timeout("10 seconds"))
      assert.deepStrictEqual(yield* deployed, ["blog", "mail"])
    })
  )
})
