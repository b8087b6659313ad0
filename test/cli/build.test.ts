import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option, Stream } from "effect"
import {
  BuildFailed,
  ImageRegistryUnauthorized,
  ImageRegistryUnreachable,
  PodmanMissing
} from "../../src/services/BuildError.ts"
import type { BuildOrder, ImageBuilder } from "../../src/services/ImageBuilder.ts"
import { agent, mcp, type World } from "./support.ts"

const digest = `sha256:${"cd".repeat(32)}`
const web = "r.example/shop/web:1"
const api = "r.example/shop/api:1"

const definition = ({
  images = 'web = "Dockerfile"\napi = "api/Dockerfile"',
  path = 'path = "shop"',
  used = [web, api, web]
} = {}) => `name = "shop"
${path}
[build.images]
${images}
${used.map((image, i) => `[[components]]\nname = "c${i}"\nimage = "${image}"\n`).join("")}`

/** A workspace with the sources of a shop. */
const workspace = Effect.acquireRelease(
  Effect.sync(() => {
    const dir = mkdtempSync(join(tmpdir(), "mcp-build-"))
    mkdirSync(join(dir, "shop/api"), { recursive: true })
    for (const file of ["shop/Dockerfile", "shop/api/Dockerfile", "Dockerfile"]) writeFileSync(join(dir, file), "")
    return dir
  }),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
)

interface Fake {
  readonly there?: ReadonlyArray<string>
  readonly has?: ImageBuilder["Type"]["has"]
  readonly build?: (order: BuildOrder) => ReturnType<ImageBuilder["Type"]["build"]>
  readonly push?: ImageBuilder["Type"]["push"]
}

/** Runs `mcp build` with a builder that notes what it is asked to do. */
const building = (words: ReadonlyArray<string>, { build, has, push, there = [] }: Fake = {}, world: World = {}) =>
  Effect.gen(function* () {
    const dir = yield* workspace
    const done: Array<string> = []
    const orders: Array<BuildOrder> = []
    const step = Stream.make({ text: "STEP 1/1: FROM scratch", step: true }, { text: "noise", step: false })
    const ran = yield* mcp(["build", ...words], {
      definitions: { shop: definition() },
      agents: { rift: agent({}) },
      workspace: dir,
      builder: {
        has: has ?? ((reference) => Effect.succeed(there.includes(reference))),
        build: (order) => {
          orders.push(order)
          done.push(`build ${order.reference}`)
          return build?.(order) ?? step
        },
        push: (reference) => {
          done.push(`push ${reference}`)
          return push?.(reference) ?? Effect.succeed(Option.some(digest))
        }
      },
      ...world
    })
    const { code, out } = ran
    return { code, out, dir, done, orders, err: ran.err.replaceAll(dir, "/work"), json: () => JSON.parse(out) }
  })

const results = (json: { images: ReadonlyArray<{ reference: string; result: string; digest: string | null }> }) =>
  json.images.map(({ digest, reference, result }) => [reference, result, digest])

const unreachable = new ImageRegistryUnreachable({ registry: "r.example", why: "connection refused" })

describe("mcp build", () => {
  it.scoped("builds each image once, of its Dockerfile in path, and says what became of it", () =>
    Effect.gen(function* () {
      const ran = yield* building(["shop"])
      assert.strictEqual(ran.code, 0, ran.err)
      assert.deepStrictEqual(
        ran.orders.map((order) => ({ ...order })),
        [
          { reference: web, context: `${ran.dir}/shop`, dockerfile: `${ran.dir}/shop/Dockerfile`, arch: undefined },
          { reference: api, context: `${ran.dir}/shop`, dockerfile: `${ran.dir}/shop/api/Dockerfile`, arch: undefined }
        ]
      )
      const next = "next: mcp build shop --push, or --load, which needs no image registry"
      assert.strictEqual(
        ran.out,
        `IMAGE                 RESULT  DIGEST\n${web}  built   -\n${api}  built   -\n${next}\n`
      )
      assert.strictEqual(ran.err, "web  STEP 1/1: FROM scratch\napi  STEP 1/1: FROM scratch\n")
    })
  )

  it.scoped("skips what the image registry has, and --force does not", () =>
    Effect.gen(function* () {
      const ran = yield* building(["shop", "--push", "--json"], { there: [web] })
      assert.deepStrictEqual(results(ran.json()), [
        [web, "skipped", null],
        [api, "pushed", digest]
      ])
      assert.deepStrictEqual(ran.done, [`build ${api}`, `push ${api}`])
      const forced = yield* building(["shop/web", "--push", "--force", "--json"], { there: [web] })
      assert.deepStrictEqual(results(forced.json()), [[web, "pushed", digest]])
      const all = yield* building(["shop"], { there: [web, api] })
      assert.match(all.out, /^skipped: .*--force, builds it\nnext: mcp deploy shop$/m)
    })
  )

  it.scoped("says that a node has to ask for an image whose name it may know as another", () =>
    Effect.gen(function* () {
      const fresh = yield* building(["shop", "--push"])
      assert.match(fresh.out, /pushed +sha256:\w+\nnext: mcp deploy shop\n$/)
      const forced = yield* building(["shop", "--push", "--force"], { there: [web, api] })
      assert.match(forced.out, /^pushed: .*only with --pull\nnext: mcp deploy shop --pull\n$/m)
      const definitions = { shop: definition({ images: 'web = "Dockerfile"', used: ["r.example/shop/web:latest"] }) }
      const floating = yield* building(["shop", "--push"], {}, { definitions })
      assert.match(floating.out, /^next: mcp deploy shop --pull$/m)
      // Without the image registry nothing is asked.
      const here = yield* building(["shop", "--force"])
      assert.notInclude(here.out, "--pull")
    })
  )

  it.scoped("never skips a tag that moves, and warns of it", () =>
    Effect.gen(function* () {
      const latest = "r.example/shop/web:latest"
      const definitions = { shop: definition({ images: 'web = "Dockerfile"', used: [latest] }) }
      const ran = yield* building(["shop", "--push"], { has: () => Effect.die("asked") }, { definitions })
      assert.deepStrictEqual(ran.done, [`build ${latest}`, `push ${latest}`])
      assert.match(ran.err, /warning: .*may be another image tomorrow/)
    })
  )

  it.scoped("builds for the architecture of the node", () =>
    Effect.gen(function* () {
      const ran = yield* building(["shop/web"], {}, { arch: "arm64" })
      assert.deepStrictEqual(
        ran.orders.map(({ arch }) => arch),
        ["arm64"]
      )
    })
  )

  it.scoped("goes on when the image registry does not answer, unless it is to push there", () =>
    Effect.gen(function* () {
      const here = yield* building(["shop/web"], { has: () => unreachable })
      assert.strictEqual(here.code, 0)
      assert.match(here.err, /^warning: built without knowing .*r\.example\/shop\/web:1: cannot reach/m)
      const pushed = yield* building(["shop/web", "--push"], { has: () => unreachable })
      assert.strictEqual(pushed.code, 1)
      assert.deepStrictEqual(pushed.done, [])
      assert.match(pushed.err, /^mcp: cannot reach the image registry r\.example: connection refused\n {2}next: /m)
    })
  )

  it.scoped("pushes all the same where a refusal may only mean that nothing was pushed there yet", () =>
    Effect.gen(function* () {
      const refused = (mayBeAbsent: boolean) =>
        new ImageRegistryUnauthorized({ registry: "r.example", image: web, why: "denied", mayBeAbsent })
      const first = yield* building(["shop/web", "--push", "--json"], { has: () => refused(true) })
      assert.deepStrictEqual(results(first.json()), [[web, "pushed", digest]])
      assert.match(first.err, /^warning: built without knowing/m)
      const wrong = yield* building(["shop/web", "--push"], { has: () => refused(false) })
      assert.deepStrictEqual([wrong.code, wrong.done], [1, []])
    })
  )

  it.scoped("asks no image registry of an image of this machine alone", () =>
    Effect.gen(function* () {
      const definitions = { shop: definition({ images: 'web = "Dockerfile"', used: ["localhost/web:1"] }) }
      const ran = yield* building(["shop"], { has: () => Effect.die("asked") }, { definitions })
      assert.strictEqual(ran.code, 0, ran.err)
      assert.deepStrictEqual(ran.done, ["build localhost/web:1"])
    })
  )

  it.scoped("tries the others when one fails, and tells of each with what to do", () =>
    Effect.gen(function* () {
      const failing = (order: BuildOrder) =>
        order.reference === web
          ? Stream.fail(
              new BuildFailed({
                image: web,
                dockerfile: order.dockerfile,
                why: "exit status 3 at the step RUN make",
                lastLines: ["no rule\u001b[2J to make"]
              })
            )
          : Stream.empty
      const refused = (image: string) =>
        new ImageRegistryUnauthorized({ registry: "r.example", image, why: "authentication required" })
      const ran = yield* building(["shop", "--push"], { build: failing, push: refused })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.out, /web:1 {2}failed {2}-\n.*api:1 {2}failed {2}-\n$/)
      assert.include(
        ran.err,
        "mcp: r.example/shop/web:1 was not built: exit status 3 at the step RUN make (/work/shop/Dockerfile)\n"
      )
      assert.include(ran.err, "    no rule to make\n  next: correct /work/shop/Dockerfile")
      assert.include(ran.err, `refuses ${api}: authentication required\n  next: podman login r.example`)
      const json = (yield* building(["shop", "--push", "--json"], { build: failing })).json()
      assert.deepStrictEqual(
        json.images.map((image: { failure: { reason: string } | null }) => image.failure?.reason),
        ["BUILD_FAILED", undefined]
      )
    })
  )

  it.scoped("without podman tries nothing more, and says how to get it", () =>
    Effect.gen(function* () {
      const ran = yield* building(["shop"], {
        has: () => new PodmanMissing({ why: "there is no such program on the PATH" })
      })
      assert.strictEqual(ran.code, 1)
      assert.deepStrictEqual(ran.done, [])
      assert.match(
        ran.err,
        /^mcp: podman cannot be used on this machine: there is no such program on the PATH\n {2}next: install podman/
      )
    })
  )

  it.scoped("shows on a terminal what a step writes, in a line that goes again", () =>
    Effect.gen(function* () {
      const ran = yield* building(["shop/web"], {}, { tty: true })
      assert.match(ran.err, /STEP 1\/1: FROM scratch.*\n\r.*web {2}noise.*\r\S*\[2K$/)
      const quiet = yield* building(["shop/web", "--quiet"], {}, { tty: true })
      assert.deepStrictEqual([quiet.out, quiet.err], ["", ""])
    })
  )
})

describe("nothing is built, and the next step is told,", () => {
  const refusals: ReadonlyArray<readonly [string, ReadonlyArray<string>, World, RegExp, RegExp]> = [
    ["with --push and --load", ["shop", "--push", "--load"], {}, /two ways/, /--help/],
    ["for an image that is none", ["shop/wbe"], {}, /builds no image wbe, but web, api/, /mcp build shop\/web/],
    [
      "without [build.images]",
      ["shop"],
      { definitions: { shop: definition({ images: "" }) } },
      /nothing to build: its definition has no \[build\.images\]/,
      /set path, and below \[build\.images\]/
    ],
    [
      "where no component uses an image",
      ["shop"],
      { definitions: { shop: definition({ used: ["db:1"] }) } },
      /nothing to build: no component uses/,
      /\[build\.images\] in \/defs\/shop\.toml/
    ],
    [
      "for an image by name that no component uses",
      ["shop/api"],
      { definitions: { shop: definition({ used: [web] }) } },
      /no component uses an image called api: c0 has r\.example\/shop\/web:1/,
      /correct/
    ],
    [
      "where components want two tags",
      ["shop"],
      { definitions: { shop: definition({ used: [web, api, "r.example/shop/web:2"] }) } },
      /shop\/web:1 in component c0, r\.example\/shop\/web:2 in component c2/,
      /correct/
    ],
    [
      "without path",
      ["shop"],
      { definitions: { shop: definition({ path: "" }) } },
      /where its sources lie/,
      /set path/
    ],
    ["without a workspace", ["shop"], { workspace: "" }, /the config does not say/, /workspace = "~\/src"/],
    [
      "of a path out of the workspace",
      ["shop"],
      { definitions: { shop: definition({ path: 'path = "../etc"' }) } },
      /path = "\.\.\/etc" leads out of the workspace/,
      /correct path/
    ],
    [
      "of a folder that is not there",
      ["shop"],
      { definitions: { shop: definition({ path: 'path = "nope"' }) } },
      /there is no folder \/work\/nope/,
      /correct path/
    ],
    [
      "of Dockerfiles that are not there, or outside: all of them are told",
      ["shop"],
      { definitions: { shop: definition({ images: 'web = "nope"\napi = "../Dockerfile"' }) } },
      /^there is no Dockerfile \/work\/shop\/nope for web\nthe Dockerfile \.\.\/Dockerfile of api is not below \/work\/shop\nmcp: 2 problems/,
      /write it, or correct/
    ]
  ]
  for (const [what, words, world, problem, next] of refusals) {
    it.scoped(what, () =>
      Effect.gen(function* () {
        const { workspace, ...rest } = world
        const ran = yield* building(words, {}, workspace === "" ? { ...rest, workspace: undefined } : rest)
        assert.strictEqual(ran.code, 2, ran.err)
        assert.deepStrictEqual(ran.done, [])
        const [told = "", step = ""] = ran.err.split("  next: ")
        assert.match(told, problem)
        assert.match(step, next)
      })
    )
  }
})
