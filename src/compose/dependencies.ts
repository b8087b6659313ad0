import { isNull, listOf, type Node, type Place } from "./Node.ts"
import type { Scope } from "./Scope.ts"
import { boolean, each, eachItem, expected, type Handler, scalar, walk } from "./walk.ts"

const depend = (scope: Scope, place: Place, key: string, name: string, required = true) => {
  const { components, draft, inactive, report } = scope
  const component = components.get(name)
  if (component === undefined) {
    if (inactive.has(name))
      report.leftOut(place, key, `${name} is of a profile that is not active; --profile takes it in`)
    else if (!required) report.leftOut(place, key, `there is no service ${name}, and it need not be`)
    else report.wrong(place, key, `there is no service ${name}; there are ${[...components.keys()].join(", ")}`)
    return
  }
  if (draft.depends_on.includes(component)) return
  scope.from(place, "depends_on", draft.depends_on.length)
  draft.depends_on.push(component)
}

export const dependsOn =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    const { components, jobs, report } = scope
    if (value.kind === "map") {
      return each(report, value, key, (entry, at) => {
        let required = true
        walk(report, entry.value, at, {
          // MCP starts a component once those before it are healthy, or up for `settle` without a health check.
          condition: ({ value: own }, where) => {
            const condition = scalar(report, own, where)?.text
            if (condition === "service_completed_successfully") jobs.add(components.get(entry.key) ?? "")
            else if (condition !== undefined && !["service_started", "service_healthy"].includes(condition))
              report.wrong(
                own.place,
                where,
                "expected service_started, service_healthy or service_completed_successfully"
              )
          },
          required: ({ value: own }, where) => {
            required = boolean(report, own, where) ?? true
          },
          restart: ({ place, value: own }, where) => {
            if (boolean(report, own, where))
              report.leftOut(place, where, "a restart of one component does not restart others")
          }
        })
        depend(scope, entry.place, at, entry.key, required)
      })
    }
    if (value.kind !== "seq" && !isNull(value))
      return expected(report, value, key, "a list of services, or a map of them")
    eachItem(listOf(value), (item: Node, i) => {
      const found = scalar(report, item, `${key}[${i}]`, "a service's name")
      if (found) depend(scope, item.place, `${key}[${i}]`, found.text)
    })
  }

/** A link is an order, and perhaps another name. */
export const links =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    const { report } = scope
    eachItem(listOf(value), (item, i) => {
      const at = `${key}[${i}]`
      const found = scalar(report, item, at, "service[:alias]")
      if (found === undefined) return
      const [name = "", alias = name] = found.text.split(":")
      depend(scope, item.place, at, name)
      if (alias !== name && scope.components.has(name))
        report.leftOut(
          item.place,
          at,
          `the name ${alias}: it is known as ${scope.components.get(name)}; let the program use that`
        )
    })
  }
