import { formatDuration } from "../domain/Scalars.ts"
import { isNull, type Node } from "./Node.ts"
import type { Scope } from "./Scope.ts"
import { boolean, duration, expected, type Handler, number, scalar, texts, walk } from "./walk.ts"

/** What Docker takes where nothing is said; MCP's own are shorter, and would call unhealthy what only starts slowly. */
const dockers = { interval: "30s", timeout: "30s" }

/** The probe's argv; `none` switches it off. */
const testOf = ({ report }: Scope, node: Node, key: string): ReadonlyArray<string> | "none" | undefined => {
  // The container's own shell reads it, as in Docker.
  if (node.kind === "scalar") {
    const found = scalar(report, node, key)
    return found && ["sh", "-c", found.text]
  }
  if (node.kind !== "seq")
    return void expected(report, node, key, "a text, or a list that starts with CMD, CMD-SHELL or NONE")
  const [kind, ...words] = texts(report, node.items, key).map(({ text }) => text)
  if (kind === "NONE") return "none"
  const [first] = words
  if (kind === "CMD-SHELL" && first !== undefined && words.length === 1) return ["sh", "-c", first]
  if (kind === "CMD" && first !== undefined) return words
  report.wrong(node.place, key, "expected [CMD, program, ...], [CMD-SHELL, line] or [NONE]")
  return undefined
}

export const healthcheck =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const { draft, report } = scope
    let test: ReadonlyArray<string> | "none" | undefined
    let off = false
    const times: { interval?: string; timeout?: string; start_period?: string; retries?: number } = {}
    const time =
      (name: "interval" | "timeout" | "start_period"): Handler =>
      ({ value: own }, at) => {
        const millis = duration(report, own, at)
        // Zero is Docker's word for its default.
        if (millis !== undefined && (millis > 0 || name === "start_period")) times[name] = formatDuration(millis)
        scope.from(own.place, "health", name)
      }
    walk(report, value, key, {
      disable: ({ value: own }, at) => {
        off = boolean(report, own, at) ?? false
      },
      test: ({ value: own }, at) => {
        test = testOf(scope, own, at)
        scope.from(own.place, "health", "cmd")
      },
      interval: time("interval"),
      timeout: time("timeout"),
      retries: ({ value: own }, at) => {
        const found = number(report, own, at)
        if (found !== undefined && found > 0) times.retries = found
        scope.from(own.place, "health", "retries")
      },
      start_period: time("start_period"),
      start_interval: "a starting container is probed every 250 ms at least"
    })
    scope.from(place, "health")
    if (off || test === "none") {
      const rest = Object.keys(times)
      if (rest.length > 0) report.leftOut(place, key, `${rest.join(", ")}: the check is switched off`)
      return
    }
    const [program, ...words] = test ?? []
    if (program === undefined) {
      if (test === undefined && !isNull(value))
        report.leftOut(
          place,
          key,
          "it has no test: the image's own is not used by MCP; write one below [components.health]"
        )
      return
    }
    draft.health = { cmd: [program, ...words], ...dockers, ...times }
  }
