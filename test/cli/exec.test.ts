import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { strip } from "../../src/cli/ansi.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { agent, dead, mcp, type World } from "./support.ts"

type Message = Exclude<MessageInitShape<typeof pb.ExecResponseSchema>["message"], undefined>

const answered = (...messages: ReadonlyArray<Message>) =>
  messages.map((message) => create(pb.ExecResponseSchema, { message }))
const started: Message = { case: "started", value: true }
const exit = (value: number): Message => ({ case: "exitCode", value })
const out = (text: string): Message => ({ case: "stdout", value: Buffer.from(text) })

/** Answers so once it has had this many messages, and keeps them. */
const rift = (sent: Array<pb.ExecRequest>, wanted: number, ...messages: ReadonlyArray<Message>) =>
  agent({
    exec: (requests) =>
      Stream.concat(
        Stream.fromIterable(answered(started)),
        Stream.unwrap(
          (requests as Stream.Stream<MessageInitShape<typeof pb.ExecRequestSchema>>).pipe(
            Stream.take(wanted),
            Stream.runCollect,
            Effect.map((all) => {
              sent.push(...Chunk.toReadonlyArray(all).map((one) => create(pb.ExecRequestSchema, one)))
              return Stream.fromIterable(answered(...messages))
            })
          )
        )
      )
  })

const run = (argv: ReadonlyArray<string>, wanted: number, messages: ReadonlyArray<Message>, world: World = {}) =>
  Effect.gen(function* () {
    const sent: Array<pb.ExecRequest> = []
    const ran = yield* mcp(["exec", ...argv], { agents: { rift: rift(sent, wanted, ...messages) }, ...world })
    const [first, ...rest] = sent.map(({ message }) => message)
    return { ran, start: first?.case === "start" ? first.value : undefined, rest }
  })

describe("exec", () => {
  it.effect("in a pipe passes on what comes in to its end, and the exit code", () =>
    Effect.gen(function* () {
      const argv = ["web/api", "-e", "A=b=c", "--", "psql", "--version", "-h"]
      const { ran, rest, start } = yield* run(
        argv,
        3,
        [out("one"), { case: "stderr", value: Buffer.from("oh") }, exit(7)],
        { stdin: "hello" }
      )
      assert.deepStrictEqual([ran.code, ran.out, ran.err], [7, "one", "oh"])
      assert.deepInclude(start, { service: "web", component: "api", tty: false, stdin: true })
      assert.deepStrictEqual([start?.argv, start?.env], [["psql", "--version", "-h"], ["A=b=c"]])
      assert.deepStrictEqual(
        rest.map((one) => (one.case === "stdin" ? Buffer.from(one.value).toString() : one.case)),
        ["hello", "closeStdin"]
      )
      assert.deepStrictEqual(ran.keys, [])
    })
  )

  it.effect("on a terminal takes the keys while the command runs, and tells each size", () =>
    Effect.gen(function* () {
      const sizes = [
        { columns: 100, rows: 30 },
        { columns: 133, rows: 44 }
      ]
      const { ran, rest, start } = yield* run(["web", "--", "sh"], 3, [out("$ "), exit(0)], { tty: true, sizes })
      assert.deepInclude(start, { component: "", tty: true, stdin: true })
      assert.deepInclude(start?.size, { columns: 100, rows: 30 })
      const resized = rest.flatMap((one) => (one.case === "resize" ? [[one.value.columns, one.value.rows]] : []))
      assert.deepStrictEqual(resized, [[133, 44]])
      assert.deepStrictEqual(ran.keys, ["raw", "restored"])
      assert.deepStrictEqual([ran.code, ran.out], [0, "$ "])
    })
  )

  it.effect("gives the terminal back before it says why a command ended early", () =>
    Effect.gen(function* () {
      const lost = new RpcError({ code: Code.UNAVAILABLE, reason: "NODE_UNREACHABLE", detail: "connection lost" })
      const rift = agent({ exec: () => Stream.concat(Stream.fromIterable(answered(started)), Stream.fail(lost)) })
      const ran = yield* mcp(["exec", "web", "--", "sh"], { agents: { rift }, tty: true })
      assert.strictEqual(ran.code, 1)
      assert.deepStrictEqual(ran.keys, ["raw", "restored"])
      assert.match(strip(ran.err), /^mcp: exec web failed on rift: connection lost\n/)
      const away = yield* mcp(["exec", "web", "--", "sh"], { agents: { rift: dead("rift") }, tty: true })
      assert.deepStrictEqual([away.code, away.keys], [1, []])
    })
  )

  it.effect("leaves a terminal's keys alone where its output goes into a pipe, unless it is asked for them", () =>
    Effect.gen(function* () {
      const pipe = { stdinIsTty: true, stdin: "typed" }
      const plain = yield* run(["web", "--", "ls"], 1, [exit(0)], pipe)
      assert.deepInclude(plain.start, { tty: false, stdin: false })
      assert.deepInclude((yield* run(["web", "-i", "--", "ls"], 2, [exit(0)], pipe)).start, { tty: false, stdin: true })
      assert.deepInclude((yield* run(["web", "-T", "--", "ls"], 1, [exit(0)], { tty: true })).start, { tty: false })
      assert.deepInclude((yield* run(["-it", "web", "--", "ls"], 2, [exit(0)])).start, { tty: true, stdin: true })
    })
  )

  it.effect("exits as a shell does when the command cannot be run, and passes a warning on", () =>
    Effect.gen(function* () {
      const error = new RpcError({
        code: Code.FAILED_PRECONDITION,
        reason: "COMMAND_NOT_RUN",
        detail: "there is no command nope in the container",
        nextStep: "check its name",
        info: { exit_code: "127" }
      })
      const rift = agent({ exec: () => Stream.fail(error) })
      const ran = yield* mcp(["exec", "web", "--", "nope"], { agents: { rift } })
      assert.strictEqual(ran.code, 127)
      assert.strictEqual(
        ran.err,
        "mcp: exec web failed on rift: there is no command nope in the container\n  next: check its name\n"
      )
      const warned = yield* run(["web", "--", "head"], 2, [{ case: "warning", value: "it is cut" }, exit(0)])
      assert.deepStrictEqual([warned.ran.code, warned.ran.err], [0, "warning: it is cut\n"])
    })
  )

  it.effect("sends nothing without a command, with --json, or with a variable that is none", () =>
    Effect.gen(function* () {
      const refused = (...argv: ReadonlyArray<string>) =>
        Effect.map(mcp(["exec", "web", ...argv], { agents: { rift: agent({}) } }), ({ code, err }) => {
          assert.strictEqual(code, 2)
          return err
        })
      assert.strictEqual(yield* refused(), "mcp: exec needs a command after --\n  next: mcp exec web -- sh\n")
      assert.match(yield* refused("--"), /needs a command/)
      assert.match(yield* refused("ls"), /unexpected argument ls/)
      assert.match(yield* refused("--json", "--", "ls"), /takes no --json/)
      assert.match(yield* refused("-t", "-T", "--", "ls"), /cannot both be/)
      const secret = yield* refused("-e", "=s3cret", "--", "ls")
      assert.match(secret, /--env: expected K=V/)
      assert.notInclude(secret, "s3cret")
      const other = yield* mcp(["ps", "--", "ls"], { agents: { rift: agent({}) } })
      assert.match(other.err, /mcp ps takes nothing after --/)
    })
  )
})
