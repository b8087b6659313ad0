import { createHash } from "node:crypto"
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { create, type MessageInitShape } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { temporaryFolder } from "../support/folder.ts"
import { agent, ago, dead, mcp, notFound } from "./support.ts"

const ids = ["01ARZ3NDEKTSV4RRFFQ69G5FA1", "01ARZ3NDEKTSV4RRFFQ69G5FA0", "01ARY3NDEKTSV4RRFFQ69G5FA0"] as const
const archive = Buffer.from("an archive")
const digest = createHash("sha256").update(archive).digest()

const info = (id: string, seconds: number, change: MessageInitShape<typeof pb.SnapshotInfoSchema> = {}) =>
  create(pb.SnapshotInfoSchema, {
    ...{ service: "web", id, node: "rift", createdAt: { $typeName: "google.protobuf.Timestamp", ...ago(seconds) } },
    ...{ size: BigInt(archive.length), files: 12n, bytes: 3n << 20n, method: "full", sha256: digest, actor: "ada" },
    ...change
  })
const all = [info(ids[0], 600), info(ids[1], 7_200), info(ids[2], 200_000)]
const listing =
  (snapshots: ReadonlyArray<pb.SnapshotInfo>) =>
  ({ service = "" }: MessageInitShape<typeof pb.ListSnapshotsRequestSchema>) =>
    Effect.succeed(
      create(pb.ListSnapshotsResponseSchema, {
        snapshots: snapshots.filter((one) => service === "" || one.service === service)
      })
    )

const restoring = (
  asked: Array<string>,
  result: MessageInitShape<typeof pb.RestoreSnapshotResultSchema> = { state: "succeeded", started: ["db", "api"] }
) => ({
  listSnapshots: listing(all),
  restoreSnapshot: ({ snapshot = "" }: MessageInitShape<typeof pb.RestoreSnapshotRequestSchema>) => {
    asked.push(snapshot)
    const event = (value: MessageInitShape<typeof pb.RestoreSnapshotResponseSchema>) =>
      create(pb.RestoreSnapshotResponseSchema, value)
    return Stream.make(
      event({ event: { case: "progress", value: { files: 1n, bytes: 1n } } }),
      event({ event: { case: "step", value: { step: "stage", state: "done", durationMs: 20n } } }),
      event({ event: { case: "step", value: { step: "stop", component: "api", state: "done", durationMs: 5n } } }),
      event({ event: { case: "result", value: { restore: "R", durationMs: 1_500n, ...result } } })
    )
  }
})

describe("mcp snapshot list", () => {
  it.effect("is one table over all nodes, newest first, and a node that does not answer makes exit code 4", () =>
    Effect.gen(function* () {
      const orion = agent({ listSnapshots: listing([info(ids[0], 60, { service: "api", node: "orion" })]) })
      const rift = agent({ listSnapshots: listing([...all].reverse()) })
      const ran = yield* mcp(["snapshot", "list"], { agents: { rift, orion, vega: dead("vega") } })
      assert.strictEqual(ran.code, 4)
      const lines = ran.out.trimEnd().split("\n")
      assert.match(lines[0] ?? "", /^SERVICE +ID +CREATED +SIZE +FILES +METHOD +NODE$/)
      assert.deepStrictEqual(
        lines.slice(1, 5).map((line) => line.split(/ +/).slice(0, 2).join(" ")),
        [`api ${ids[0]}`, `web ${ids[0]}`, `web ${ids[1]}`, `web ${ids[2]}`]
      )
      assert.include(ran.err, "vega did not answer")
    })
  )

  it.effect("of one service that is not there is an error, and of one without any says so", () =>
    Effect.gen(function* () {
      const missing = agent({ listSnapshots: () => Effect.fail(notFound("wbe")) })
      const wrong = yield* mcp(["snapshot", "list", "wbe"], { agents: { rift: missing } })
      assert.strictEqual(wrong.code, 1)
      assert.include(wrong.err, "did you mean web?")
      const none = yield* mcp(["snapshot", "list", "web"], { agents: { rift: agent({ listSnapshots: listing([]) }) } })
      assert.deepStrictEqual([none.code, none.out], [0, ""])
      assert.include(none.err, "no snapshots of web on rift")
    })
  )
})

describe("mcp snapshot create", () => {
  const making = (seen: Array<unknown>) =>
    agent({
      createSnapshot: (request) => {
        seen.push(request)
        const event = (value: MessageInitShape<typeof pb.CreateSnapshotResponseSchema>) =>
          create(pb.CreateSnapshotResponseSchema, value)
        return Stream.make(
          event({ event: { case: "command", value: "db" } }),
          event({ event: { case: "progress", value: { files: 1n, bytes: 5n, totalFiles: 12n, totalBytes: 50n } } }),
          event({ event: { case: "leftOut", value: { path: "a.sock", why: "is a socket" } } }),
          event({ event: { case: "result", value: { snapshot: info(ids[0], 1), removed: [ids[2]] } } })
        )
      },
      exportServiceData: () => {
        const message = (value: MessageInitShape<typeof pb.ExportServiceDataResponseSchema>) =>
          create(pb.ExportServiceDataResponseSchema, value)
        return Stream.make(
          message({ message: { case: "start", value: info(ids[0], 1) } }),
          message({ message: { case: "data", value: archive.subarray(0, 4) } }),
          message({ message: { case: "data", value: archive.subarray(4) } }),
          message({ message: { case: "end", value: info(ids[0], 1) } })
        )
      }
    })

  it.effect("says what was made, left out and removed, and copies it for nobody else's eyes", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const folder = temporaryFolder()
      const argv = ["snapshot", "create", "web", "--keep", "7", "--wait", "--output", folder]
      const ran = yield* mcp(argv, { agents: { rift: making(seen) } })
      assert.strictEqual(ran.code, 0, ran.err)
      assert.deepStrictEqual(seen, [{ service: "web", keep: 7, waitForLock: true }])
      assert.include(ran.out, `made the snapshot ${ids[0]} of web on rift: 12 files, 3.0 MiB`)
      assert.include(ran.out, `removed 1 older: ${ids[2]}`)
      assert.include(ran.err, "left out: a.sock: is a socket")
      const file = join(folder, `web-${ids[0]}.tar.zst`)
      assert.isTrue(readFileSync(file).equals(archive))
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      // What is there is never written over, and nothing is made then.
      const again = yield* mcp(["snapshot", "create", "web", "--output", file], { agents: { rift: making(seen) } })
      assert.deepStrictEqual([again.code, seen.length], [2, 1])
      assert.include(again.err, "is there already")
    })
  )

  it.effect("whose copy is not what the node has leaves no copy", () =>
    Effect.gen(function* () {
      const folder = temporaryFolder()
      const wrong = agent({
        createSnapshot: () =>
          Stream.make(
            create(pb.CreateSnapshotResponseSchema, {
              event: { case: "result", value: { snapshot: info(ids[0], 1) } }
            })
          ),
        exportServiceData: () =>
          Stream.make(
            create(pb.ExportServiceDataResponseSchema, { message: { case: "start", value: info(ids[0], 1) } }),
            create(pb.ExportServiceDataResponseSchema, { message: { case: "data", value: Buffer.from("AN archive") } }),
            create(pb.ExportServiceDataResponseSchema, { message: { case: "end", value: info(ids[0], 1) } })
          )
      })
      const ran = yield* mcp(["snapshot", "create", "web", "-o", `${folder}/`], { agents: { rift: wrong } })
      assert.strictEqual(ran.code, 1)
      assert.include(ran.err, "digest")
      assert.deepStrictEqual(readdirSync(folder), [])
    })
  )
})

it.effect("mcp snapshot create warns of a snapshot without a file, and says what would copy more", () =>
  Effect.gen(function* () {
    for (const [method, told] of [
      ["known", 'method = "full" copies all files'],
      ["full", "there is none in the folder of web"]
    ] as const) {
      const event = { case: "result", value: { snapshot: info(ids[0], 1, { files: 0n, bytes: 0n, method }) } } as const
      const rift = agent({ createSnapshot: () => Stream.make(create(pb.CreateSnapshotResponseSchema, { event })) })
      const ran = yield* mcp(["snapshot", "create", "web"], { agents: { rift } })
      assert.strictEqual(ran.code, 0)
      assert.include(ran.err, told)
    }
  })
)

describe("mcp snapshot restore", () => {
  it.effect("asks first, says which one it is and what it does, and takes a no", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const agents = { rift: agent(restoring(asked)) }
      const no = yield* mcp(["snapshot", "restore", "web"], { agents, tty: true, answers: ["n"] })
      assert.deepStrictEqual([no.code, asked], [1, []])
      assert.include(no.questions[0], `from its newest snapshot ${ids[0]} (10m old, 12 files, 3.0 MiB)?`)
      assert.include(no.questions[0], "All its data is replaced, and what runs is stopped meanwhile.")
      const yes = yield* mcp(["snapshot", "restore", "web"], { agents, tty: true, answers: ["y"] })
      assert.deepStrictEqual([yes.code, asked], [0, [ids[0]]])
      assert.include(yes.out, `restored web on rift from ${ids[0]} in 1.5s; db and api run again`)
      const nobody = yield* mcp(["snapshot", "restore", "web"], { agents })
      assert.strictEqual(nobody.code, 2)
      assert.include(nobody.err, "mcp snapshot restore web --yes")
    })
  )

  it.effect("takes the beginning of an id when only one begins so", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const agents = { rift: agent(restoring(asked)) }
      for (const [word, code] of [
        ["01ary", 0],
        [ids[1], 0],
        ["01AR", 2],
        ["X", 2]
      ] as const) {
        assert.strictEqual((yield* mcp(["snapshot", "restore", "web", word, "--yes"], { agents })).code, code, word)
      }
      assert.deepStrictEqual(asked, [ids[2], ids[1]])
    })
  )

  it.effect("that is interrupted says whether it goes on: only once all is verified", () =>
    Effect.gen(function* () {
      for (const [state, told] of [
        ["running", "snapshot restore web is given up: it had not changed anything on rift"],
        ["done", "snapshot restore web is no longer followed: what has begun on rift goes on by itself"]
      ] as const) {
        const step = create(pb.RestoreSnapshotResponseSchema, {
          event: { case: "step", value: { step: "stage", state } }
        })
        const restoreSnapshot = () => Stream.concat(Stream.make(step), Stream.fromEffect(Effect.interrupt))
        const rift = agent({ listSnapshots: listing(all), restoreSnapshot })
        const ran = yield* mcp(["snapshot", "restore", "web", "--yes"], { agents: { rift } })
        assert.strictEqual(ran.code, "interrupted")
        assert.include(ran.err, told)
      }
    })
  )

  it.effect("of what did not run says that nothing was started", () =>
    Effect.gen(function* () {
      const agents = { rift: agent(restoring([], { state: "succeeded", started: [] })) }
      const ran = yield* mcp(["snapshot", "restore", "web", "--yes"], { agents })
      assert.include(ran.out, "; nothing of it ran before, and nothing was started")
    })
  )

  it.effect("that went back says why, and that the data is as it was", () =>
    Effect.gen(function* () {
      const failure = {
        ...{ component: "api", reason: "EXITED_3", message: "api did not become ready", nextStep: "read its lines" },
        lastLogs: ["cannot read"]
      }
      const agents = { rift: agent(restoring([], { state: "rolled_back", started: ["api"], failure })) }
      const ran = yield* mcp(["snapshot", "restore", "web", "--yes"], { agents })
      assert.strictEqual(ran.code, 1)
      for (const text of ["api did not become ready", "cannot read", "the data is as it was", "read its lines"]) {
        assert.include(ran.err, text)
      }
      const { json } = yield* mcp(["snapshot", "restore", "web", "--yes", "--json"], { agents })
      const told = json as { state: string; failure: { reason: string } }
      assert.deepStrictEqual([told.state, told.failure.reason], ["rolled_back", "EXITED_3"])
    })
  )

  it.effect("of a file has the node take it in first, with its digest", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const sent: Array<pb.ImportServiceDataRequest["message"]> = []
      const file = join(temporaryFolder(), "a.tar.zst")
      writeFileSync(file, archive)
      const rift = agent({
        ...restoring(asked),
        importServiceData: (requests) =>
          Effect.gen(function* () {
            for (const one of yield* Stream.runCollect(requests)) {
              const { bytes } = one as { bytes?: Uint8Array }
              sent.push(bytes === undefined ? create(pb.ImportServiceDataRequestSchema, one).message : ({} as never))
            }
            return create(pb.ImportServiceDataResponseSchema, { snapshot: info(ids[1], 7_200) })
          })
      })
      const ran = yield* mcp(["snapshot", "restore", "web", "--file", file, "--yes"], { agents: { rift } })
      assert.strictEqual(ran.code, 0, ran.err)
      assert.deepStrictEqual(asked, [ids[1]])
      assert.strictEqual(sent[0]?.case, "start")
      const end = sent.at(-1)
      assert.isTrue(end?.case === "endSha256" && digest.equals(end.value))
      assert.include(ran.err, `mcp snapshot rm web ${ids[1]}`)
      const gone = yield* mcp(["snapshot", "restore", "web", "--file", "/absent", "--yes"], { agents: { rift } })
      assert.strictEqual(gone.code, 2)
      const both = yield* mcp(["snapshot", "restore", "web", ids[0], "--file", file, "--yes"], { agents: { rift } })
      assert.strictEqual(both.code, 2)
    })
  )
})

it.effect("mcp snapshot rm asks first and removes one", () =>
  Effect.gen(function* () {
    const removed: Array<string> = []
    const rift = agent({
      listSnapshots: listing(all),
      removeSnapshot: ({ snapshot = "" }) => {
        removed.push(snapshot)
        return snapshot === ids[2]
          ? Effect.fail(new RpcError({ code: Code.NOT_FOUND, reason: "SNAPSHOT_NOT_FOUND", detail: "gone" }))
          : Effect.succeed(create(pb.RemoveSnapshotResponseSchema))
      }
    })
    const agents = { rift }
    assert.strictEqual((yield* mcp(["snapshot", "rm", "web", ids[1]], { agents })).code, 2)
    const ran = yield* mcp(["snapshot", "rm", "web", ids[1]], { agents, tty: true, answers: ["yes"] })
    assert.deepStrictEqual([ran.code, removed], [0, [ids[1]]])
    assert.include(ran.questions[0], `Remove the snapshot ${ids[1]} (2h old, 12 files, 3.0 MiB) of web on rift?`)
    assert.strictEqual((yield* mcp(["snapshot", "rm", "web", ids[2], "--yes"], { agents })).code, 1)
  })
)
