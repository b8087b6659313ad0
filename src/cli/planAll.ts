import { Effect } from "effect"
import * as Image from "../domain/Image.ts"
import { toProto } from "../grpc/spec.ts"
import { ExitWith } from "../services/CliError.ts"
import { type Paint, type Style, tame } from "./ansi.ts"
import type { Loaded } from "./definitions.ts"
import { type CliFailure, Exit } from "./errors.ts"
import * as Json from "./json.ts"
import { ask, ofService, reading } from "./nodes.ts"
import { answer, warn } from "./output.ts"
import { planned } from "./rows.ts"
import { each, failAll } from "./several.ts"

/** Whether a deploy would leave it as it is. */
export const idle = (c: Pick<Json.PlanComponent, "action">) => c.action === "unchanged" || c.action === "orphan"

const planOne = ({ components, node, spec }: Loaded, force: boolean) =>
  Effect.gen(function* () {
    const options = yield* reading
    const response = yield* ask(node, (client) =>
      client.plan({ spec: toProto(spec), components: [...components], force }, options)
    ).pipe(Effect.mapError(ofService(spec.name)))
    const rows = response.components.map(planned)
    return {
      service: spec.name,
      node: node.name,
      changes: rows.some((c) => !idle(c)),
      components: rows,
      warnings: response.warnings
    } satisfies Json.PlanService
  })

const marks: Record<Json.PlanComponent["action"], readonly [string, Style]> = {
  create: ["+", "green"],
  replace: ["~", "yellow"],
  start: [">", "green"],
  unchanged: ["=", "dim"],
  orphan: ["?", "magenta"],
  stop: ["-", "red"]
}

/** `v1 → v2`, or the one there is. */
export const versions = (from: string | null, to: string | null): string => {
  const [a, b] = [from === null ? "" : Image.version(from), to === null ? "" : Image.version(to)]
  return a !== "" && b !== "" && a !== b ? `${a} → ${b}` : b || a
}

const shown = (value: string) => (value === "" ? "(none)" : value)

/** A component a line, with what differs below it. */
export const planLines = (components: ReadonlyArray<Json.PlanComponent>, paint: Paint): ReadonlyArray<string> => {
  const width = Math.max(...components.map((c) => c.component.length))
  return components.flatMap((c) => {
    const [mark, style] = marks[c.action]
    const why = c.why === null || c.action === "unchanged" ? "" : `  (${c.why})`
    return [
      paint(
        style,
        `  ${mark} ${c.component.padEnd(width)}  ${c.action.padEnd(9)}  ${versions(c.from_image, c.to_image)}${why}`.trimEnd()
      ),
      ...c.changes.map((d) => `      ${tame(`${d.field}: ${shown(d.from)} → ${shown(d.to)}`)}`)
    ]
  })
}

export const renderPlan = (services: ReadonlyArray<Json.PlanService>, paint: Paint): ReadonlyArray<string> =>
  services.flatMap((s) => [
    `${paint("bold", s.service)} on ${s.node}: ${s.changes ? summary(s.components) : "nothing to do"}`,
    ...planLines(s.components, paint)
  ])

const summary = (components: ReadonlyArray<Json.PlanComponent>) =>
  (["create", "replace", "start", "stop"] as const)
    .map((kind) => [kind, components.filter((c) => c.action === kind).length] as const)
    .filter(([, n]) => n > 0)
    .map(([kind, n]) => `${n} to ${kind}`)
    .join(", ")

/** Asks each service's node what a deploy would do, and prints it. */
export const planAll = (
  loaded: ReadonlyArray<Loaded>,
  options: { readonly force: boolean; readonly exitCode: boolean }
) =>
  Effect.gen(function* () {
    const { done: services, failures } = yield* each(loaded, (item) => planOne(item, options.force))
    const warnings = [...loaded.flatMap((l) => l.warnings), ...services.flatMap((s) => s.warnings)]
    for (const text of new Set(warnings)) yield* warn(text)
    if (services.length > 0) yield* answer(Json.Plan, { services }, ({ paint }) => renderPlan(services, paint))
    yield* failAll<CliFailure>(failures)
    if (options.exitCode && services.some((s) => s.changes)) yield* new ExitWith({ exitCode: Exit.changes })
  })
