import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { create } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import * as pb from "../../src/gen/mcp/v1/mcp_pb.ts"
import { toProto } from "../../src/grpc/spec.ts"
import { Code, RpcError } from "../../src/grpc/status.ts"
import { temporaryFolder } from "../support/folder.ts"
import { agent, dead, listReply, mcp, notFound } from "./support.ts"

const adopts = (warnings: ReadonlyArray<string> = [], missingSecrets: ReadonlyArray<string> = []) =>
  agent({
    listServices: listReply(),
    adoptContainers: () =>
      Effect.succeed(
        create(pb.AdoptContainersResponseSchema, {
          components: [
            {
              ...{ component: "web", container: "shop-web", containerId: "c1", image: "docker.io/library/web:v1" },
              ...{ source: "label", observed: pb.ObservedState.RUNNING, missingSecrets: [...missingSecrets] }
            }
          ],
          warnings: [...warnings]
        })
      )
  })
const adoptsNothing = agent({
  listServices: listReply(),
  adoptContainers: ({ service }) =>
    new RpcError({ ...notFound(service ?? ""), reason: "NOTHING_TO_ADOPT", nextStep: "podman ps --all" })
})

describe("mcp adopt", () => {
  it.effect("says what was taken over, from where its spec is, what is left to do, and what comes next", () =>
    Effect.gen(function* () {
      const ran = yield* mcp(["adopt", "shop"], { agents: { rift: adopts(["web: no key says privileged"], ["key"]) } })
      assert.strictEqual(ran.code, 0)
      assert.match(ran.out, /^adopted shop on rift:\n/)
      assert.match(ran.out, /web +shop-web +running +docker\.io\/library\/web:v1 +its label/)
      assert.match(ran.out, /next: mcp service export shop\n$/)
      assert.match(ran.err, /warning: web: no key says privileged/)
      assert.match(ran.err, /secret key is not there: mcp secret set shop key/)
      const defined = yield* mcp(["adopt", "shop", "--dry-run"], {
        agents: { rift: adopts() },
        definitions: { shop: "" }
      })
      assert.match(defined.out, /^would adopt shop on rift:\n/)
      assert.notMatch(defined.out, /next:/)
    })
  )

  it.effect("finds the node that has the containers, when no registry knows the service", () =>
    Effect.gen(function* () {
      const agents = { east: adoptsNothing, rift: adopts(), west: dead("west") }
      const ran = yield* mcp(["adopt", "shop", "--json"], { agents })
      assert.deepInclude(ran.json, { service: "shop", node: "rift", dry_run: false })
      const both = yield* mcp(["adopt", "shop"], { agents: { east: adopts(), rift: adopts() } })
      assert.strictEqual(both.code, 2)
      assert.match(both.err, /could be meant for any of the nodes east, rift/)
      assert.strictEqual((yield* mcp(["adopt", "shop", "--node", "rift"], { agents })).code, 0)
      const none = yield* mcp(["adopt", "shop"], { agents: { east: adoptsNothing, west: adoptsNothing } })
      assert.strictEqual(none.code, 1)
    })
  )
})

const spec = Schema.decodeUnknownSync(ServiceSpec)({
  name: "shop",
  components: [{ name: "web", image: "web:v1", routes: [{ port: 443, target: 80, hostname: "shop.example" }] }]
})
const exports = agent({
  exportSpec: () =>
    Effect.succeed(create(pb.ExportSpecResponseSchema, { spec: toProto(spec), warnings: ["web: it is exited"] }))
})
const exported = (...args: ReadonlyArray<string>) =>
  mcp(["service", "export", "shop", ...args], { agents: { rift: exports } })

describe("mcp service export", () => {
  it.effect("prints the definition alone, with what differs beside it", () =>
    Effect.gen(function* () {
      const ran = yield* exported()
      assert.match(ran.out, /^#:schema .*\nname = "shop"\nactive = true\n\n\[\[components]]\n/)
      assert.strictEqual(ran.err, "warning: web: it is exited\n")
      const units = yield* exported("--format", "quadlet")
      assert.match(units.out, /^# shop-web\.container\n\[Unit]\n[\s\S]*\n\n# mcp-shop\.network\n\[Network]\n/)
      assert.match(units.err, /its routes are not in the units/)
    })
  )

  it.effect("writes files, and over one that is there only with --force", () =>
    Effect.gen(function* () {
      const folder = temporaryFolder()
      const file = join(folder, "new/shop.toml")
      assert.strictEqual((yield* exported("--output", join(folder, "new/"))).out, `wrote ${file}\n`)
      assert.match(readFileSync(file, "utf8"), /name = "shop"/)
      writeFileSync(file, "mine")
      const refused = yield* exported("-o", file)
      assert.strictEqual(refused.code, 1)
      assert.match(refused.err, /is there already[\s\S]*next: --force writes over it/)
      assert.strictEqual(readFileSync(file, "utf8"), "mine")
      const forced = yield* exported("-o", file, "--force")
      assert.match(forced.files.get("shop") ?? "", /name = "shop"/)
      const units = yield* exported("--format", "quadlet", "-o", folder, "--json")
      assert.deepInclude(units.json, { format: "quadlet", service: "shop", node: "rift" })
      assert.isTrue(existsSync(join(folder, "shop-web.container")))
      const wrong = yield* exported("--format", "quadlet", "-o", "units.toml")
      assert.strictEqual(wrong.code, 2)
    })
  )

  it.effect("of a service that is not adopted yet says how that is done", () =>
    Effect.gen(function* () {
      const unmanaged = new RpcError({
        ...{ code: Code.NOT_FOUND, reason: "SERVICE_UNMANAGED", detail: "the registry has no service shop" },
        nextStep: "mcp adopt shop"
      })
      const ran = yield* mcp(["service", "export", "shop"], {
        agents: { rift: agent({ exportSpec: () => unmanaged }) }
      })
      assert.strictEqual(ran.code, 1)
      assert.match(ran.err, /next: mcp adopt shop/)
    })
  )
})
