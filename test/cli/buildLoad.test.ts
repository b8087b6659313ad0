import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create, fromBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import { sha256 } from "../../src/domain/ImageLayers.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { binaryOf } from "../../src/grpc/encoded.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import type { AgentClient } from "../../src/services/Agents.ts"
import { configOf, layerOf, type MadeLayer } from "../support/imageParts.ts"
import { agent, dead, mcp, type World } from "./support.ts"

const reference = "r.example/shop/web:1"
const definition = `name = "shop"
path = "shop"
[build.images]
web = "Dockerfile"
[[components]]
name = "web"
image = "${reference}"
`

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mcp-load-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
)

/** As `podman save --format oci-dir --uncompressed` writes it. */
const layout = (dir: string, layers: ReadonlyArray<MadeLayer>) => {
  const blobs = join(dir, "blobs/sha256")
  mkdirSync(blobs, { recursive: true })
  const blob = (bytes: Uint8Array) => {
    writeFileSync(join(blobs, sha256(bytes)), bytes)
    return { digest: `sha256:${sha256(bytes)}`, size: bytes.length }
  }
  const config = blob(configOf(layers))
  const manifest = blob(Buffer.from(JSON.stringify({ config, layers: layers.map(({ bytes }) => blob(bytes)) })))
  writeFileSync(join(dir, "index.json"), JSON.stringify({ manifests: [manifest] }))
  return dir
}

type Call = ReadonlyArray<pb.LoadImageRequest>

/** A node that has some layers, and notes what it is sent. */
const loading = (missing: ReadonlyArray<string>, calls: Array<Call>, gone = 0): AgentClient["loadImage"] => {
  let left = gone
  return (requests) =>
    Effect.gen(function* () {
      const sent = Chunk.toReadonlyArray(yield* Stream.runCollect(requests)).map((message) =>
        fromBinary(pb.LoadImageRequestSchema, binaryOf(pb.LoadImageRequestSchema, message as Record<string, unknown>))
      )
      calls.push(sent)
      const start = sent[0]?.start
      if (start?.ask) return create(pb.LoadImageResponseSchema, { missing: [...missing] })
      left -= 1
      if (left >= 0) return yield* new RpcError({ code: Code.ABORTED, reason: "LAYER_GONE", detail: "it is gone" })
      const bytes = sent.reduce((sum, { data }) => sum + data.length, 0)
      return create(pb.LoadImageResponseSchema, {
        imageId: "ab".repeat(32),
        layers: start?.layers.length ?? 0,
        bytes: BigInt(bytes)
      })
    })
}

const node = (loadImage: AgentClient["loadImage"]) =>
  agent({ loadImage, nodeStatus: () => Effect.succeed(create(pb.NodeStatusResponseSchema, { arch: "arm64" })) })

/** Runs `mcp build shop --load` of an image of these layers. */
const building = (layers: ReadonlyArray<MadeLayer>, rift: AgentClient, words: ReadonlyArray<string> = []) =>
  Effect.gen(function* () {
    const dir = yield* folder
    mkdirSync(join(dir, "shop"))
    writeFileSync(join(dir, "shop/Dockerfile"), "")
    const built: Array<string | undefined> = []
    const world: World = {
      definitions: { shop: definition },
      agents: { rift },
      workspace: dir,
      builder: {
        build: ({ arch }) => {
          built.push(arch)
          return Stream.empty
        },
        saved: () => Effect.sync(() => layout(join(dir, "saved"), layers))
      }
    }
    const ran = yield* mcp(["build", "shop", "--load", ...words], world)
    const { code, err, out } = ran
    return { code, err, out, built, json: () => ran.json }
  })

describe("mcp build --load", () => {
  it.scoped("asks the node what it lacks, sends that in order, and says what became of it", () =>
    Effect.gen(function* () {
      const layers = yield* Effect.forEach(["a".repeat(1_500_000), "b", "c"], (text) => layerOf("f", text))
      const [a, b, c] = layers as [MadeLayer, MadeLayer, MadeLayer]
      const calls: Array<Call> = []
      const ran = yield* building([b, a, c, b], node(loading([c.digest, a.digest], calls)), ["--json"])
      assert.strictEqual(ran.code, 0, ran.err)
      assert.deepStrictEqual(ran.built, ["arm64"])
      const [asked, sent] = calls
      assert.deepInclude(asked?.[0]?.start, { service: "shop", reference, ask: true, layers: [] })
      assert.deepStrictEqual(
        sent?.[0]?.start?.layers.map(({ digest, size }) => [digest, Number(size)]),
        [
          [a.digest, a.size],
          [c.digest, c.size]
        ]
      )
      assert.deepStrictEqual(Buffer.from(sent?.[0]?.start?.config ?? []), configOf([b, a, c, b]))
      assert.isTrue(Buffer.concat((sent ?? []).map(({ data }) => data)).equals(Buffer.concat([a.bytes, c.bytes])))
      assert.isAtMost(Math.max(...(sent ?? []).map(({ data }) => data.length)), 1024 * 1024)
      assert.deepStrictEqual((sent ?? []).map(({ last }) => last).indexOf(true), (sent?.length ?? 0) - 1)
      const [image] = (ran.json() as { images: ReadonlyArray<Record<string, unknown>> }).images
      assert.deepInclude(image, { reference, result: "loaded", digest: null, failure: null })
      assert.deepInclude(image?.loaded, {
        ...{ node: "rift", image_id: "ab".repeat(32), was_there: false, layers: 3, sent_layers: 2 },
        sent_bytes: a.size + c.size
      })
      const people = yield* building([b, a], node(loading([b.digest], [])))
      assert.match(
        people.out,
        /onto rift: sent 1 layer, 2\.0 KiB in \d+ms, 1 layer was there already\nnext: mcp deploy shop/
      )
    })
  )

  it.scoped("asks again when a layer is gone meanwhile, and gives up after the third time", () =>
    Effect.gen(function* () {
      const layers = yield* Effect.forEach(["a"], (text) => layerOf("f", text))
      const calls: Array<Call> = []
      assert.strictEqual((yield* building(layers, node(loading([], calls, 1)))).code, 0)
      assert.strictEqual(calls.length, 4)
      const ran = yield* building(layers, node(loading([], [], 9)))
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /build shop failed on rift: it is gone/)
    })
  )

  it.scoped("builds nothing for a node that does not answer", () =>
    Effect.gen(function* () {
      const ran = yield* building([], dead("rift"))
      assert.strictEqual(ran.code, 1)
      assert.deepStrictEqual(ran.built, [])
      assert.match(ran.err, /build shop failed on rift: cannot reach[\s\S]*next: /)
    })
  )

  it.scoped("needs no right to look at the node", () =>
    Effect.gen(function* () {
      const layers = yield* Effect.forEach(["a"], (text) => layerOf("f", text))
      const denied = new RpcError({ code: Code.PERMISSION_DENIED, reason: "PERMISSION_DENIED", detail: "lacks read" })
      const ran = yield* building(layers, agent({ loadImage: loading([], []), nodeStatus: () => denied }))
      assert.strictEqual(ran.code, 0, ran.err)
      assert.deepStrictEqual(ran.built, [undefined])
    })
  )

  it.scoped("does not send layers that are not what the image's config says", () =>
    Effect.gen(function* () {
      const [real, packed] = (yield* Effect.forEach(["a", "b"], (text) => layerOf("f", text))) as [MadeLayer, MadeLayer]
      const calls: Array<Call> = []
      const ran = yield* building([{ ...real, bytes: packed.bytes }], node(loading([real.digest], calls)))
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /a layer of the saved image is compressed, or missing/)
      assert.deepStrictEqual(calls, [])
    })
  )
})
