import { Command } from "@effect/cli"
import { Effect } from "effect"
import type { ComponentOutcome } from "../../gen/mcp/v1/mcp_pb.ts"
import type { CallOptions } from "../../grpc/channel.ts"
import type { RpcError } from "../../grpc/status.ts"
import type { AgentClient } from "../../services/Agents.ts"
import { editActive } from "../activeFile.ts"
import type { CliFailure } from "../errors.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { acting, ask, ofService } from "../nodes.ts"
import { confirm, note } from "../output.ts"
import { observed, sorted } from "../rows.ts"
import { each, failAll } from "../several.ts"
import * as Target from "../target.ts"

type Call = (
  client: AgentClient,
  request: { readonly service: string; readonly component: string },
  options: CallOptions
) => Effect.Effect<{ readonly components: ReadonlyArray<ComponentOutcome> }, RpcError>

interface Act {
  readonly done: string
  readonly already: string
  readonly call: Call
  /** What the definition's `active` becomes, for a whole service. */
  readonly active?: boolean
}

const acts = {
  stop: { done: "stopped", already: "already stopped", call: (c, r, o) => c.stopService(r, o), active: false },
  start: { done: "started", already: "already running", call: (c, r, o) => c.startService(r, o), active: true },
  restart: { done: "restarted", already: "not restarted", call: (c, r, o) => c.restartService(r, o) }
} satisfies Record<string, Act>

/** One line a service: what changed, and what did not come out as wished. */
const render = (act: Act, outcomes: ReadonlyArray<Json.Outcome>): ReadonlyArray<string> => {
  const services = [...new Set(outcomes.map((o) => o.service))]
  return services.flatMap((service) => {
    const own = outcomes.filter((o) => o.service === service)
    const where = `${service} on ${own[0]?.node}`
    const changed = own.filter((o) => o.changed).map((o) => o.component)
    const unwell = own.filter((o) => act.active !== false && o.observed !== "running")
    return [
      changed.length === 0 ? `${where}: ${act.already}` : `${act.done} ${where}: ${changed.join(", ")}`,
      ...unwell.map((o) => `  ${o.component} is ${o.observed}; see mcp logs ${service}/${o.component}`)
    ]
  })
}

const oneService = (act: Act, service: string, components: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const options = yield* acting
    const node = yield* locate(service)
    const outcomes = yield* ask(node, (client) =>
      Effect.forEach(components.length === 0 ? [""] : components, (component) =>
        Effect.map(act.call(client, { service, component }, options), (response) => response.components)
      )
    ).pipe(Effect.mapError(ofService(service)))
    const rows = outcomes.flat().map(
      (o): Json.Outcome => ({
        service,
        component: o.component,
        node: node.name,
        changed: o.changed,
        observed: observed(o.observed)
      })
    )
    if (act.active === undefined) return { rows, file: null }
    if (components.length > 0) {
      const what = components.map((c) => `${service}/${c}`).join(", ")
      if (!act.active)
        yield* note(`the next deploy or sync of ${service} starts ${what} again: its definition is unchanged`)
      return { rows, file: null }
    }
    return { rows, file: yield* editActive(service, act.active) }
  })

const make = (name: keyof typeof acts, description: string) =>
  Command.make(
    name,
    { targets: Target.some },
    Effect.fn(`cli.${name}`)(function* ({ targets }) {
      const act: Act = acts[name]
      const { done, failures } = yield* each(Target.grouped(targets), ({ components, service }) =>
        oneService(act, service, components)
      )
      const components = sorted(done.flatMap((d) => d.rows))
      const edited_files = done.flatMap((d) => (d.file === null ? [] : [d.file]))
      if (done.length > 0) {
        yield* confirm(Json.Outcomes, { components, edited_files }, () => render(act, components))
      }
      yield* failAll<CliFailure>(failures)
    })
  ).pipe(Command.withDescription(description))

export const stop = make("stop", "Stop services (and set active = false) or single components")
export const start = make("start", "Start services (and set active = true) or single components")
export const restart = make("restart", "Stop and start; the desired state stays")
