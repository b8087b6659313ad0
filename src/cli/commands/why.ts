import { Command } from "@effect/cli"
import { Effect } from "effect"
import type { Explanation, TimelineEntry } from "../../gen/mcp/v1/mcp_pb.ts"
import { type Style, tame, wrap } from "../ansi.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { ask, ofService, reading } from "../nodes.ts"
import { answer, type Look } from "../output.ts"
import * as rows from "../rows.ts"
import * as Target from "../target.ts"
import { stamp, time } from "../time.ts"

const entry = (e: TimelineEntry): Json.WhyEntry => ({
  at: rows.date(e.at),
  kind: e.kind,
  text: e.text,
  actor: rows.text(e.actor)
})

const explained = (e: Explanation, node: string, now: Date): Json.WhyComponent => ({
  component: e.component,
  cause: e.cause,
  behind: rows.text(e.behind),
  well: e.well,
  summary: e.summary,
  next_step: rows.text(e.nextStep),
  timeline: e.timeline.map(entry),
  live: e.live === undefined ? null : rows.running(e.live, node, now)
})

const KINDS = 10

const styles: Readonly<Record<string, Style>> = {
  log: "dim",
  exit: "red",
  alert: "red",
  drift: "yellow",
  deploy: "cyan",
  rollback: "cyan",
  restart: "cyan",
  desired: "cyan"
}

const styleOf = ({ kind, text }: Json.WhyEntry): Style | undefined =>
  kind !== "log" && /^(failed|refused|rolled back|did not)\b/.test(text) ? "red" : styles[kind]

/** Words at their place: what is wrapped goes on below its beginning. */
const hanging = (head: string, text: string, { width }: Look): ReadonlyArray<string> =>
  wrap(text, Math.max(20, width - head.length)).map((line, i) => (i === 0 ? head : " ".repeat(head.length)) + line)

const sameDay = (a: Date, b: Date) => a.toISOString().slice(0, 10) === b.toISOString().slice(0, 10)

const timelineOf = (entries: ReadonlyArray<Json.WhyEntry>, look: Look): ReadonlyArray<string> => {
  const today = entries.every(({ at }) => at !== null && sameDay(at, look.now))
  return entries.flatMap((e) => {
    const when = e.at === null ? "-" : today ? time(e.at) : stamp(e.at)
    const head = `  ${when}  ${tame(e.kind).padEnd(KINDS)} `
    const by = e.actor === null ? "" : `  by ${tame(e.actor)}`
    const [first = "", ...more] = hanging(head, `${tame(e.text)}${by}`, look)
    const { paint } = look
    const style = styleOf(e)
    return [
      `  ${paint("dim", when)}  ${paint(style, first.slice(head.length - KINDS - 1))}`,
      ...more.map((line) => paint(style, line))
    ]
  })
}

const section = (c: Json.WhyComponent, name: string, look: Look): ReadonlyArray<string> => {
  const behind = c.behind === null ? "" : ` (${c.behind})`
  const { paint } = look
  return [
    `${paint("bold", name)}: ${paint(c.well ? "green" : c.cause === "deploying" ? "yellow" : "red", `${tame(c.cause)}${tame(behind)}`)}`,
    ...hanging("  ", tame(c.summary), look),
    ...(c.next_step === null
      ? []
      : hanging("  next: ", tame(c.next_step), look).map((line) => line.replace("next:", paint("dim", "next:")))),
    ...(c.timeline.length === 0 ? [] : ["", ...timelineOf(c.timeline, look)])
  ]
}

const wellLine = (c: Json.WhyComponent, name: string, look: Look) =>
  hanging("", `${name}: ${tame(c.cause)}: ${tame(c.summary)}`, look).map((line, i) =>
    i === 0
      ? line.replace(`${name}: ${c.cause}`, `${look.paint("bold", name)}: ${look.paint("green", c.cause)}`)
      : `  ${line}`
  )

/** What is not well first, with all that is known of it; of several, those that are well have one line each. */
const render = (service: string, node: string, all: ReadonlyArray<Json.WhyComponent>, look: Look) => {
  const nameOf = (c: Json.WhyComponent) => `${service}/${c.component} on ${node}`
  const whole = all.length === 1 ? all : all.filter(({ well }) => !well)
  const short = all.length === 1 ? [] : all.filter(({ well }) => well)
  const sections = whole.flatMap((c, i) => [...(i === 0 ? [] : [""]), ...section(c, nameOf(c), look)])
  return [
    ...sections,
    ...(sections.length > 0 && short.length > 0 ? [""] : []),
    ...short.flatMap((c) => wellLine(c, nameOf(c), look))
  ]
}

export const why = Command.make(
  "why",
  { target: Target.one },
  Effect.fn("cli.why")(function* ({ target: { component, service } }) {
    const options = yield* reading
    const node = yield* locate(service)
    const found = yield* ask(node, (client) => client.explain({ service, component: component ?? "" }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const now = new Date(yield* Effect.clockWith((clock) => clock.currentTimeMillis))
    const components = found.components.map((each) => explained(each, node.name, now))
    yield* answer(Json.Why, { service, node: node.name, components }, (look) =>
      render(service, node.name, components, look)
    )
  })
).pipe(Command.withDescription("Why a component is as it is, and what to do"))
