import { Clock, Effect, Ref, Schedule, type Scope } from "effect"
import type { DeployResponse } from "../gen/mcp/v1/mcp_pb.ts"
import { clearBelow, clearLine, hideCursor, type Paint, shorten, showCursor, tame, up } from "./ansi.ts"
import { Globals } from "./Globals.ts"
import { errPaint } from "./output.ts"
import { action } from "./rows.ts"
import { Screen } from "./Screen.ts"
import { took } from "./time.ts"

/* Deploy's steps as they happen, on stderr: redrawn in place on a terminal, else one plain line a finished step. */

export interface Progress {
  readonly on: (service: string, event: DeployResponse) => Effect.Effect<void>
}

interface Line {
  readonly label: string
  readonly step: string
  readonly state: "waiting" | "running" | "retrying" | "done" | "failed"
  readonly message: string
  readonly since: number
  readonly tookMs: number
}

const FRAMES = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"]
const FRAME_MS = 100

const silent: Progress = { on: () => Effect.void }

const label = (many: boolean, service: string, component: string) =>
  component === "" ? service : many ? `${service}/${component}` : component

/** What the next event makes of the lines; `undefined` when it changes none. */
export const advance = (
  lines: ReadonlyArray<Line>,
  name: (component: string) => string,
  { event }: DeployResponse,
  now: number
): ReadonlyArray<Line> | undefined => {
  const put = (line: Line) =>
    lines.some((l) => l.label === line.label) ? lines.map((l) => (l.label === line.label ? line : l)) : [...lines, line]
  switch (event.case) {
    case "started":
      return [
        ...lines.filter((l) => l.label !== name("") || l.step !== "wait"),
        ...event.value.plan
          .map((p) => ({ label: name(p.component), action: action(p.action) }))
          .filter((p) => !lines.some((l) => l.label === p.label))
          .map((p): Line => {
            const idle = p.action === "unchanged" || p.action === "orphan"
            return {
              label: p.label,
              step: p.action,
              state: idle ? "done" : "waiting",
              message: "",
              since: now,
              tookMs: 0
            }
          })
      ]
    case "step": {
      const { component, durationMs, message, state, step } = event.value
      const known = state === "done" || state === "failed" || state === "retrying" ? state : "running"
      const before = lines.find((l) => l.label === name(component))
      const same = before?.step === step && under(before)
      const since = same ? before.since : now - Number(durationMs)
      return put({ label: name(component), step, state: known, message, since, tookMs: Number(durationMs) })
    }
    case "pull": {
      const before = lines.find((l) => l.label === name(event.value.component))
      const base = before ?? {
        label: name(event.value.component),
        step: "pull",
        state: "running",
        since: now,
        tookMs: 0
      }
      return put({ ...base, message: event.value.message })
    }
    default:
      return undefined
  }
}

/** A step that is tried again is under way still. */
const under = ({ state }: Line) => state === "running" || state === "retrying"

const marks = { waiting: " ", done: "✓", failed: "✗" } as const
const colours = { waiting: "dim", running: "cyan", retrying: "yellow", done: "green", failed: "red" } as const

/** One line of the live view. */
export const draw = (
  line: Line,
  at: { now: number; frame: number; widths: readonly [number, number]; columns: number },
  paint: Paint
) => {
  const mark =
    line.state === "running" || line.state === "retrying"
      ? (FRAMES[at.frame % FRAMES.length] ?? " ")
      : marks[line.state]
  const elapsed = under(line) ? at.now - line.since : line.tookMs
  const time = line.state === "waiting" || (line.state === "done" && line.tookMs === 0) ? "" : took(elapsed)
  const rest = `${line.label.padEnd(at.widths[0])}  ${line.step.padEnd(at.widths[1])}  ${time.padStart(6)}  ${tame(line.message)}`
  return `${paint(colours[line.state], mark)} ${shorten(rest.trimEnd(), Math.max(10, at.columns - 3))}`
}

const live = Effect.gen(function* () {
  const screen = yield* Screen
  const paint = yield* errPaint
  const lines = yield* Ref.make<ReadonlyArray<Line>>([])
  const drawn = yield* Ref.make({ height: 0, frame: 0 })
  const redraw = Effect.gen(function* () {
    const { columns, rows } = yield* screen.size
    const now = yield* Clock.currentTimeMillis
    const all = yield* Ref.get(lines)
    const { frame, height } = yield* Ref.get(drawn)
    // What is higher than the terminal cannot be redrawn: the unfinished ones matter most.
    const room = Math.max(1, rows - 2)
    const shown = all.length <= room ? all : [...all].sort((a, b) => rank(a) - rank(b)).slice(0, room)
    const widths = [longest(all.map((l) => l.label)), longest(all.map((l) => l.step))] as const
    const text = shown.map((l) => `${clearLine}${draw(l, { now, frame, widths, columns }, paint)}\n`).join("")
    yield* Ref.set(drawn, { height: shown.length, frame: frame + 1 })
    if (all.length > 0) yield* screen.err(`${up(height)}\r${text}${clearBelow}`)
  })
  yield* Effect.acquireRelease(screen.err(hideCursor), () => Effect.zipRight(redraw, screen.err(showCursor)))
  yield* Effect.forkScoped(Effect.repeat(redraw, Schedule.spaced(FRAME_MS)))
  return (name: (component: string) => string, event: DeployResponse) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => Ref.update(lines, (all) => advance(all, name, event, now) ?? all))
})

const rank = (line: Line) => ({ running: 0, retrying: 0, failed: 1, waiting: 2, done: 3 })[line.state]
const longest = (words: ReadonlyArray<string>) => Math.max(0, ...words.map((word) => word.length))

/** What a finished step leaves as a line; of one under way, only what keeps it from going on. */
const plainLine = (name: (component: string) => string, { event }: DeployResponse): string | undefined => {
  if (event.case !== "step") return undefined
  const { component, durationMs, message, state, step } = event.value
  const time = took(Number(durationMs))
  const told = state === "done" ? time : state === "failed" ? `failed after ${time}` : state
  const waits = state === "retrying" || (state === "running" && step === "wait")
  if (state !== "done" && state !== "failed" && !waits) return undefined
  return `${name(component)}  ${step}  ${told}${message === "" ? "" : `  ${tame(message)}`}\n`
}

const plainLines = Effect.gen(function* () {
  const screen = yield* Screen
  const last = yield* Ref.make<ReadonlyMap<string, string>>(new Map())
  return (name: (component: string) => string, event: DeployResponse) =>
    Effect.gen(function* () {
      const line = plainLine(name, event)
      if (line === undefined || event.event.case !== "step") return
      const label = name(event.event.value.component)
      const before = yield* Ref.getAndUpdate(last, (all) => new Map([...all, [label, line]]))
      // A step that is tried again and again for one reason says so once.
      if (line !== before.get(label)) yield* screen.err(line)
    })
})

/** Lasts as long as the scope: the last view stays on the screen. */
export const make = (many: boolean): Effect.Effect<Progress, never, Scope.Scope | Screen | Globals> =>
  Effect.gen(function* () {
    if ((yield* Globals).quiet) return silent
    const { errIsTty } = yield* Screen
    const show = yield* errIsTty ? live : plainLines
    return { on: (service, event) => show((component) => label(many, service, component), event) }
  })
