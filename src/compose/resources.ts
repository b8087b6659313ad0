import { Either, Schema } from "effect"
import { ByteSize } from "../domain/Scalars.ts"
import type { Entry, Place } from "./Node.ts"
import type { Scope } from "./Scope.ts"
import { duration, type Handler, number, scalar, walk } from "./walk.ts"

const readSize = Schema.decodeUnknownEither(ByteSize)
const writeSize = Schema.encodeSync(ByteSize)

export const memory =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const { draft, report } = scope
    const found = scalar(report, value, key, 'a size such as "512m"')
    if (found === undefined || found.text === "0") return
    if (draft.memory !== undefined) return report.leftOut(place, key, "deploy.resources.limits says it already")
    const size = readSize(found.text)
    if (Either.isLeft(size))
      return report.wrong(value.place, key, 'expected a size such as "512m" or "2g", at least "4m"')
    draft.memory = writeSize(size.right)
    scope.from(value.place, "memory")
  }

export const cpus =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const found = number(scope.report, value, key)
    if (found === undefined || found === 0) return
    if (scope.draft.cpus !== undefined)
      return scope.report.leftOut(place, key, "deploy.resources.limits says it already")
    scope.draft.cpus = found
    scope.from(value.place, "cpus")
  }

const setRestart = (scope: Scope, place: Place, policy: string) => {
  scope.draft.restart = policy
  scope.from(place, "restart")
}

export const restart =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const { draft, report } = scope
    // Without quotes compose reads `no` as a text, but a YAML 1.1 editor may have written false.
    const found = scalar(report, value, key, "a restart policy")
    if (found === undefined) return
    if (draft.restart !== undefined) return report.leftOut(place, key, "deploy.restart_policy says it already")
    const policy = found.text === "false" ? "no" : found.text.replace(/^on-failure:0$/, "on-failure")
    if (!/^(no|always|unless-stopped|on-failure(:[1-9]\d{0,5})?)$/.test(policy))
      return report.wrong(value.place, key, "expected no, always, unless-stopped, on-failure or on-failure:N")
    setRestart(scope, value.place, policy)
  }

const restartPolicy =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    const { report } = scope
    let condition = "any"
    let at: Entry | undefined
    let attempts: number | undefined
    walk(report, value, key, {
      condition: (entry, where) => {
        at = entry
        condition = scalar(report, entry.value, where)?.text ?? condition
        if (!["none", "on-failure", "any"].includes(condition))
          report.wrong(entry.value.place, where, "expected none, on-failure or any")
      },
      max_attempts: (entry, where) => {
        attempts = number(report, entry.value, where)
        if (condition !== "on-failure") report.leftOut(entry.place, where, "only on-failure has a number of attempts")
      },
      delay: ({ place, value: own }, where) => {
        duration(report, own, where)
        report.leftOut(place, where, "MCP waits 1 s, doubling to 60 s")
      },
      window: ({ place, value: own }, where) => {
        duration(report, own, where)
        report.leftOut(place, where, "MCP begins anew once it ran for 60 s")
      }
    })
    const policies: Record<string, string> = { none: "no", any: "always" }
    const counted = attempts === undefined || attempts === 0 ? "on-failure" : `on-failure:${attempts}`
    setRestart(scope, (at ?? { place: value.place }).place, policies[condition] ?? counted)
  }

const limits =
  (scope: Scope): Handler =>
  ({ value }, key) =>
    walk(scope.report, value, key, {
      memory: memory(scope),
      cpus: cpus(scope),
      pids: "there is no limit of processes",
      devices: "devices are not passed on"
    })

export const replicas =
  ({ report }: Scope): Handler =>
  ({ place, value }, key) => {
    const count = number(report, value, key)
    if (count === 0)
      report.leftOut(
        place,
        key,
        "none are wanted, but a component is one container: take it out, or active = false for all"
      )
    if (count !== undefined && count > 1)
      report.leftOut(place, key, `a component is one container; for ${count}, write as many components`)
  }

const updateConfig =
  (scope: Scope): Handler =>
  ({ value }, key) =>
    walk(scope.report, value, key, {
      order: ({ place, value: own }, at) => {
        const order = scalar(scope.report, own, at)?.text
        if (order !== "start-first" && order !== "stop-first") {
          if (order !== undefined) scope.report.wrong(own.place, at, "expected start-first or stop-first")
          return
        }
        if (order === "start-first" && scope.draft.ports.length > 0)
          return scope.report.leftOut(
            place,
            at,
            "start-first cannot be with a fixed host port: two would need it at once; a route has none"
          )
        scope.draft.update_order = order
        scope.from(own.place, "update_order")
      },
      parallelism: "a component is one container",
      delay: "a component is one container",
      failure_action: "a deploy that fails goes back to the old version, whole",
      monitor: "health checks and settle say when it is ready",
      max_failure_ratio: "a deploy is whole or not at all"
    })

export const deploy =
  (scope: Scope): Handler =>
  ({ value }, key) =>
    walk(scope.report, value, key, {
      mode: ({ place, value: own }, at) => {
        const mode = scalar(scope.report, own, at)?.text
        if (mode !== undefined && mode !== "replicated")
          scope.report.leftOut(place, at, `${mode}: a component is one container of one node`)
      },
      replicas: replicas(scope),
      resources: ({ value: own }, at) =>
        walk(scope.report, own, at, {
          limits: limits(scope),
          reservations: "nothing is reserved on a node; limits are carried over"
        }),
      restart_policy: restartPolicy(scope),
      update_config: updateConfig(scope),
      rollback_config: "a deploy that fails goes back to the old version, whole",
      placement: "write node = ... or tier = ... at the top of the definition",
      labels: "there are no labels of one's own",
      endpoint_mode: "components reach each other by name, without a load balancer"
    })
