import { FastCheck as fc } from "effect"
import { checkService } from "../../src/domain/ServiceRules.ts"
import type { ServiceSpec } from "../../src/domain/Spec.ts"
import { specOf } from "./support.ts"

/** What an operator may do to a service, in any order. */
export type Act =
  | {
      readonly kind: "deploy"
      readonly spec: ServiceSpec
      readonly only: ReadonlyArray<string>
      readonly force: boolean
    }
  | { readonly kind: "stop" | "start" | "restart"; readonly component: string | undefined }
  | { readonly kind: "sync"; readonly spec: ServiceSpec }
  | { readonly kind: "rollback" | "undeploy" | "purge" }

/** `killed`: the agent ends at that call of the act, right before or after it, and a new one is started. */
export interface Step {
  readonly act: Act
  readonly killed: { readonly call: number; readonly after: boolean } | undefined
}

export const names = ["web", "db", "cache", "job"] as const
type Name = (typeof names)[number]

/** Image `bad` ends at once; the others run until they are stopped, but for the job's, which is done in no time. */
export const versions = ["1", "2", "bad"] as const

/** One component; what it depends on is among those before it, and no two have a host port or a hostname in common. */
const component = (name: Name, versionsOf: ReadonlyArray<string>) => {
  const place = names.indexOf(name)
  const before = names.slice(0, place)
  return fc
    .record({
      version: fc.constantFrom(...versionsOf),
      dependsOn: fc.subarray([...before]),
      env: fc.constantFrom({}, { LEVEL: "1" }),
      network: fc.constantFrom(undefined, undefined, undefined, "host", "none", "shared"),
      order: fc.constantFrom(undefined, undefined, "start-first", "stop-first"),
      reach: name === "job" ? fc.constant("none") : fc.constantFrom("none", "route", "route", "target", "fixed"),
      volume: fc.boolean()
    })
    .map(({ dependsOn, env, network, order, reach, version, volume }) => ({
      name,
      image: `localhost/${name}:${version}`,
      depends_on: dependsOn,
      env,
      ...(network === undefined ? {} : { network }),
      ...(order === undefined ? {} : { update_order: order }),
      ...(reach === "route" ? { routes: [{ port: 443, hostname: `${name}.example` }] } : {}),
      ...(reach === "target" ? { routes: [{ port: 443, target: 80, hostname: `${name}.example` }] } : {}),
      ...(reach === "fixed" ? { ports: [`127.0.0.1:${9000 + place}:80`] } : {}),
      ...(volume ? { volumes: [`/srv/shop/${name}:/data`] } : {}),
      ...(name === "job" ? { restart: "no" } : {})
    }))
}

const valid = (spec: ServiceSpec) => !checkService(spec).some(({ severity }) => severity === "error")

const definition = (versionsOf: ReadonlyArray<string>) =>
  fc
    .record({
      present: fc.subarray([...names], { minLength: 1 }),
      all: fc.tuple(...names.map((name) => component(name, versionsOf))),
      active: fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })
    })
    .map(({ active, all, present }) => {
      const has = (name: string) => present.some((each) => each === name)
      const components = all.filter(({ name }) => has(name))
      const known = components.map((each) => ({ ...each, depends_on: each.depends_on.filter(has) }))
      return specOf({ name: "shop", active, components: known })
    })
    .filter(valid)

/** Definitions that the rules accept and whose images all run. */
export const definitions = definition(["1", "2"])

const target = fc.constantFrom(undefined, ...names)

const acts: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("deploy" as const),
      spec: definition(["1", "1", "2", "2", "2", "bad"]),
      only: fc.oneof(
        { weight: 4, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.subarray([...names], { minLength: 1, maxLength: 2 }) }
      ),
      force: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom("stop" as const, "start" as const, "restart" as const),
      component: target
    })
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("rollback" as const, "rollback" as const, "undeploy" as const) })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("sync" as const), spec: definition(["1", "2", "2", "bad"]) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("purge" as const) }) }
)

export const histories = fc.array(fc.record({ act: acts, killed: fc.constant(undefined) }), {
  minLength: 1,
  maxLength: 8
})

/** The same, with an agent that is killed at about every second act. */
export const crashingHistories: fc.Arbitrary<ReadonlyArray<Step>> = fc.array(
  fc.record({
    act: acts,
    killed: fc.option(fc.record({ call: fc.integer({ min: 1, max: 120 }), after: fc.boolean() }), { nil: undefined })
  }),
  { minLength: 1, maxLength: 8 }
)

/** A history in the words of the command line, for whoever reads a failure. */
export const told = (steps: ReadonlyArray<Step>): string =>
  steps
    .map(({ act, killed }) => {
      const fault = killed ? `, killed ${killed.after ? "after" : "before"} call ${killed.call}` : ""
      if (act.kind !== "deploy" && act.kind !== "sync")
        return `${act.kind}${"component" in act ? ` ${act.component ?? ""}` : ""}${fault}`
      const components = act.spec.components.map(({ image }) => image.split("/")[1]).join(" ")
      const idle = act.spec.active ? "" : ", inactive"
      if (act.kind === "sync") return `sync ${components}${idle}${fault}`
      return `deploy ${components}${idle}${act.only.length > 0 ? ` only ${act.only}` : ""}${act.force ? " --force" : ""}${fault}`
    })
    .join("; ")
