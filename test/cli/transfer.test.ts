import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { progressLine } from "../../src/cli/transfer.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import type { AgentClient } from "../../src/services/Agents.ts"
import { sha256 } from "../layers/hostile.ts"
import { temporaryFolder } from "../support/folder.ts"
import { agent, info, listReply, mcp } from "./support.ts"

const listServices = listReply(info("web"))

describe("push and pull", () => {
  it.effect("say what they cannot do before anything is sent", () =>
    Effect.gen(function* () {
      const folder = temporaryFolder()
      const world = { agents: { rift: agent({ listServices }) } }
      for (const [argv, text] of [
        [["push", folder, "web"], /is a folder[\s\S]*mcp push -r/],
        [["push", "-r", folder, "web", "--resume"], /--resume goes on with a single file/],
        [["push", join(folder, "none"), "web"], /there is no/],
        [["push", folder, "web", "--mode", "4755"], /--mode 4755: expected permissions in octal/],
        [["pull", "web", "x", "-r", "--resume"], /--resume goes on with a single file/],
        [["files", "rm", "web", "x"], /asks first[\s\S]*mcp files rm web x --yes/]
      ] as const) {
        const ran = yield* mcp(argv, world)
        assert.strictEqual(ran.code, 2, argv.join(" "))
        assert.match(ran.err, text)
      }
    })
  )

  it.effect("an agent that sends what it should not writes nothing outside the place that was named", () =>
    Effect.gen(function* () {
      const here = temporaryFolder()
      mkdirSync(join(here, "outside"))
      const bytes = Buffer.from("evil")
      const entry = (path: string, kind: pb.FileKind, more = {}) => ({
        part: {
          case: "entry" as const,
          value: create(pb.FileEntrySchema, { path: Buffer.from(path), kind, mode: 0o755, ...more })
        }
      })
      const file = (path: string) => [
        entry(path, pb.FileKind.FILE, { size: BigInt(bytes.length) }),
        { part: { case: "data" as const, value: bytes } },
        { part: { case: "endSha256" as const, value: sha256(bytes) } }
      ]
      const link = (target: string) => entry("l", pb.FileKind.LINK, { target: Buffer.from(target) })
      for (const parts of [
        file("../outside/x"),
        file("/tmp/x"),
        [link("../outside"), ...file("l/x")],
        [link("../../etc")],
        [...file("a"), ...file("a/../../outside/x")]
      ]) {
        const sent = [entry("", pb.FileKind.FOLDER), ...parts]
        const pullFile = () =>
          Stream.succeed(
            create(pb.PullFileResponseSchema, { parts: sent.map((p) => create(pb.FilePartSchema, p)), last: true })
          )
        const ran = yield* mcp(["pull", "-r", "web", "site", join(here, "in")], {
          agents: { rift: agent({ listServices, pullFile }) }
        })
        assert.strictEqual(ran.code, 2, ran.err)
        assert.deepStrictEqual(readdirSync(join(here, "outside")), [])
      }
    })
  )

  it.effect("a pull that ends before its end is an error, and leaves what was there", () =>
    Effect.gen(function* () {
      const here = temporaryFolder()
      writeFileSync(join(here, "f"), "old")
      const pullFile = () => Stream.succeed(create(pb.PullFileResponseSchema, {}))
      const ran = yield* mcp(["pull", "web", "f", join(here, "f")], {
        agents: { rift: agent({ listServices, pullFile }) }
      })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /cut before its end; what was there before is as it was[\s\S]*--resume/)
      assert.strictEqual(readFileSync(join(here, "f"), "utf8"), "old")
      assert.isFalse(existsSync(join(here, "f/f")))
    })
  )

  it.effect("that are cut say how they go on", () =>
    Effect.gen(function* () {
      const here = temporaryFolder()
      writeFileSync(join(here, "large"), Buffer.alloc(2 * 1024 ** 2))
      writeFileSync(join(here, "small"), "small")
      const lost = new RpcError({ code: Code.UNAVAILABLE, reason: "NODE_UNREACHABLE", detail: "connection lost" })
      const refused = new RpcError({ code: Code.PERMISSION_DENIED, reason: "NOT_ALLOWED", detail: "verb files" })
      const pushing = (file: string, error: RpcError, ...more: ReadonlyArray<string>) => {
        const pushFile: AgentClient["pushFile"] = (requests) =>
          Effect.zipRight(Stream.runDrain(Stream.take(requests, 3)), Effect.fail(error))
        return mcp(["push", join(here, file), "web", ...more], { agents: { rift: agent({ listServices, pushFile }) } })
      }
      const goesOn = /the file is kept as far as it came: the same with --resume goes on from there/
      const cut = yield* pushing("large", lost)
      assert.strictEqual(cut.code, 1)
      assert.match(cut.err, goesOn)
      for (const ran of [
        yield* pushing("small", lost),
        yield* pushing("large", refused),
        yield* pushing("", lost, "-r")
      ])
        assert.notMatch(ran.err, goesOn)
    })
  )

  it("show how much of how much, how fast and how long still", () => {
    const seen = {
      ...{ start: 0, files: 3, bytes: 100 * 1024 ** 2, resumed: 50 * 1024 ** 2, current: undefined },
      total: { files: 10, bytes: 300 * 1024 ** 2 }
    }
    assert.strictEqual(progressLine(seen, 10_000), "150 MiB of 300 MiB  50%  10.0 MiB/s  15s left  3 of 10 files")
    assert.match(progressLine({ ...seen, bytes: 0, resumed: 0 }, 10), /^0 B of 300 MiB {2}0% {2}0 B\/s {2}3 of/)
  })
})
