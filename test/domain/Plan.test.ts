import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { checkContainerNames, checkVolumes, reservedBy } from "../../src/domain/NodeRules.ts"
import { type PlanInput, plan, startOrder } from "../../src/domain/Plan.ts"
import { ServiceSpec } from "../../src/domain/Spec.ts"
import { specHash } from "../../src/domain/SpecHash.ts"

const service = (web: Record<string, unknown> = {}, change: Record<string, unknown> = {}) =>
  Schema.decodeUnknownSync(ServiceSpec)({
    name: "shop",
    components: [{ name: "web", image: "web:1", env: { TOKEN: "hunter2" }, ...web }],
    ...change
  })
const before = service()
const image = "docker.io/library/web:1"
const row = {
  component: "web",
  specHash: specHash(before.components[0]),
  imageId: "i1",
  image,
  desired: "running",
  secrets: {}
} as const
const running: PlanInput = {
  spec: before,
  stored: before,
  rows: [row],
  observed: new Map([["web", { state: "running", imageId: "i1" }]]),
  images: new Map([["web", "i1"]]),
  secrets: new Map(),
  force: false,
  only: []
}
const actions = (change: Partial<PlanInput>) => plan({ ...running, ...change }).map((c) => `${c.action}: ${c.why}`)

describe("what a deploy would do with a component", () => {
  it.each<[string, Partial<PlanInput>, string]>([
    ["same hash, same image, running", {}, "unchanged: "],
    ["not in the registry", { rows: [], observed: new Map() }, "create: new"],
    ["its container was removed by hand", { observed: new Map() }, "create: its container is gone"],
    ["another spec", { spec: service({ cmd: ["x"] }) }, "replace: the definition changed"],
    [
      "another image under the same name",
      { images: new Map([["web", "i2"]]) },
      "replace: the image changed under its name"
    ],
    ["an image that is not here is no change", { images: new Map([["web", undefined]]) }, "unchanged: "],
    ...(
      [
        ["a secret that was set anew", { db: 1, key: 1 }, { db: 2, key: 1 }, "replace: secret db changed"],
        ["secrets that were not known", {}, { db: 1, key: 1 }, "replace: secrets db, key changed"],
        ["one that is not set is no change", { db: 1 }, { db: 1 }, "unchanged: "],
        ["what the definition does not name is no change", { db: 1, old: 1 }, { db: 1, old: 2 }, "unchanged: "]
      ] as const
    ).map(([name, has, wanted, action]): [string, Partial<PlanInput>, string] => {
      const spec = service({ secrets: ["db", "key"] })
      const rows = [{ ...row, specHash: specHash(spec.components[0]), secrets: has }]
      return [name, { spec, stored: spec, rows, secrets: new Map([["web", wanted]]) }, action]
    }),
    ["forced", { force: true }, "replace: forced"],
    ["stopped", { observed: new Map([["web", { state: "exited", imageId: "i1" }]]) }, "start: it is exited"],
    [
      "started by hand while the registry has it as stopped",
      { rows: running.rows.map((row) => ({ ...row, desired: "stopped" as const })) },
      "start: the registry has it as stopped"
    ],
    [
      "a job that has ended is not run again",
      {
        ...((spec) => ({ spec, rows: [{ ...row, specHash: specHash(spec.components[0]) }] }))(
          service({ restart: "no" })
        ),
        observed: new Map([["web", { state: "exited", imageId: "i1", exitCode: 0 }]])
      },
      "unchanged: it has ended, as its restart policy has it"
    ],
    ["not active", { spec: service({}, { active: false }) }, "stop: active = false"]
  ])("%s", (_, change, expected) => {
    assert.deepStrictEqual(actions(change), [expected])
  })

  it("one that is no longer defined is told as an orphan and never removed", () => {
    const spec = service({ name: "other" })
    assert.deepStrictEqual(
      plan({ ...running, spec }).map((c) => `${c.component} ${c.action}`),
      ["other create", "web orphan"]
    )
    assert.deepStrictEqual(
      plan({ ...running, spec, only: ["other"] }).map((c) => c.component),
      ["other"]
    )
  })

  it("says which fields change, and never a value of the environment", () => {
    const [change] = plan({ ...running, spec: service({ env: { TOKEN: "swordfish", NEW: "x" }, restart: "no" }) })
    assert.deepStrictEqual(change?.changes, [
      { field: "restart", from: "unless-stopped", to: "no" },
      { field: "env.NEW", from: undefined, to: "(set)" },
      { field: "env.TOKEN", from: "(set)", to: "(changed)" }
    ])
  })
})

describe("the order in which components start", () => {
  it("is in stages, each after what it depends on", () => {
    const of = (name: string, ...dependsOn: ReadonlyArray<string>) => ({ name, dependsOn })
    assert.deepStrictEqual(
      startOrder([of("web", "api"), of("api", "db", "cache"), of("db"), of("cache"), of("mail")]),
      [["db", "cache", "mail"], ["api"], ["web"]]
    )
  })
})

describe("names and places that are not a service's own", () => {
  const shop = (component: string, volumes: ReadonlyArray<string> = []) =>
    Schema.decodeUnknownSync(ServiceSpec)({ name: "a-b", components: [{ name: component, image: "x:1", volumes }] })

  it("two services never share a container's name", () => {
    const others = [{ service: "a", components: ["b-c"] }]
    assert.strictEqual(
      checkContainerNames(shop("c"), others)[0]?.message,
      "its container would be a-b-c, which a/b-c has"
    )
    assert.deepStrictEqual(checkContainerNames(shop("d"), others), [])
  })

  it("a service whose folder would be or hold the agent's own is reserved, its neighbours are not", () => {
    const own = ["/srv/control/mcp.db", "/etc/mcp/agent.key"]
    assert.isTrue(reservedBy("/srv", "control", own))
    assert.isFalse(reservedBy("/srv", "shop", own))
    assert.isTrue(reservedBy("/srv", "mcp-agent", []))
    assert.isTrue(reservedBy("/etc", "mcp", own))
  })

  it("no volume reaches the agent's own files from above, beside or below", () => {
    const own = ["/srv/control/mcp.db"]
    for (const source of ["/", "/srv", "/srv/control", "/srv/control/mcp.db", "/srv/control/keys"]) {
      assert.lengthOf(checkVolumes(shop("c", [`${source}:/x`]), own), 1, source)
    }
    assert.deepStrictEqual(checkVolumes(shop("c", ["/srv/controller:/x", "data:/y"]), own), [])
  })
})
