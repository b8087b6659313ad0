import { Schema } from "effect"
import { Drift } from "./Drift.ts"

/** How alerts are held back; all in milliseconds, but for the number of changes. */
export interface AlertSettings {
  readonly holdFor: number
  readonly cooldown: number
  readonly flapThreshold: number
  readonly flapWindow: number
}

/** One kind of drift that lasts. Times are milliseconds since the epoch. */
const Ongoing = Schema.Struct({
  kind: Drift,
  since: Schema.Number,
  /** When the last alert of it was sent. */
  alertedAt: Schema.optional(Schema.Number)
})
type Ongoing = typeof Ongoing.Type

/** What is remembered of one component's drift. */
export const Watched = Schema.Struct({
  ongoing: Schema.Array(Ongoing),
  /** When it left its desired state, within the flap window. */
  left: Schema.Array(Schema.Number),
  /** Since when it flaps, and whether that was alerted. */
  flapping: Schema.optional(Schema.Struct({ since: Schema.Number, alerted: Schema.Boolean })),
  /** An alert was sent that no `recovered` has followed yet. */
  owed: Schema.Boolean
})
export type Watched = typeof Watched.Type

export const calm: Watched = { ongoing: [], left: [], owed: false }

/** What an alert is about: a kind of drift, or that it is over. */
export const AlertKind = Schema.Literal(...Drift.literals, "recovered", "gave_up", "runtime")
export type AlertKind = typeof AlertKind.Type

export interface Step {
  readonly state: Watched
  readonly alerts: ReadonlyArray<AlertKind>
  /** When something falls due though nothing changes; milliseconds since the epoch. */
  readonly wakeAt: number | undefined
}

/** A clock that was set back must not hold anything for ever: what lies ahead has just begun. */
const notAhead = (state: Watched, now: number): Watched => {
  const past = (at: number) => Math.min(at, now)
  return {
    ...state,
    ongoing: state.ongoing.map((one) => ({
      ...one,
      since: past(one.since),
      ...(one.alertedAt === undefined ? {} : { alertedAt: past(one.alertedAt) })
    })),
    left: state.left.map(past),
    ...(state.flapping === undefined ? {} : { flapping: { ...state.flapping, since: past(state.flapping.since) } })
  }
}

interface Flaps {
  readonly left: ReadonlyArray<number>
  readonly flapping: Watched["flapping"]
}

/** A window of flapping ends when it is over, and another begins if the changes went on. */
const flaps = (before: Watched, leaves: boolean, now: number, settings: AlertSettings): Flaps => {
  const within = [...before.left, ...(leaves ? [now] : [])].filter((at) => now - at < settings.flapWindow)
  // No more is needed to know, however often it flaps.
  const left = within.slice(-settings.flapThreshold)
  const current = before.flapping
  if (current !== undefined && now - current.since < settings.flapWindow) return { left, flapping: current }
  return { left, flapping: left.length >= settings.flapThreshold ? { since: now, alerted: false } : undefined }
}

const earliest = (times: ReadonlyArray<number>, now: number) => {
  const ahead = times.filter((at) => Number.isFinite(at) && at > now)
  return ahead.length === 0 ? undefined : Math.min(...ahead)
}

/**
 * What follows from a component's drift as it is now. An alert goes out once a component and kind, after `holdFor`, and
 * again after `cooldown` while it lasts; `flapThreshold` departures from the desired state within `flapWindow` make one
 * `flapping` alert and silence the rest of that window; when all is over that was told, one `recovered` follows. Within a
 * maintenance window nothing is told, and what is still so after it is told then.
 */
export const nextStep = (
  remembered: Watched,
  drift: ReadonlyArray<Drift>,
  now: number,
  settings: AlertSettings,
  silencedUntil: number | undefined
): Step => {
  const before = notAhead(remembered, now)
  const silent = silencedUntil !== undefined && silencedUntil > now
  const leaves = before.ongoing.length === 0 && drift.length > 0
  const { flapping: flapped, left } = flaps(before, leaves, now, settings)
  const alerts: Array<AlertKind> = []

  const tellFlapping = flapped !== undefined && !flapped.alerted && !silent
  if (tellFlapping) alerts.push("flapping")
  const flapping = tellFlapping ? { since: flapped.since, alerted: true } : flapped

  const ongoing = drift.map((kind): Ongoing => {
    const known = before.ongoing.find((one) => one.kind === kind) ?? { kind, since: now }
    const held = now - known.since >= settings.holdFor
    const cooled = known.alertedAt === undefined || now - known.alertedAt >= settings.cooldown
    if (silent || flapping !== undefined || !held || !cooled) return known
    alerts.push(kind)
    return { ...known, alertedAt: now }
  })

  const over = ongoing.length === 0 && flapping === undefined
  const owed = before.owed || alerts.length > 0
  const recovers = over && owed && !silent
  if (recovers) alerts.push("recovered")

  const due = [
    ...(silent && (drift.length > 0 || owed) ? [silencedUntil] : []),
    ...(flapping === undefined ? [] : [flapping.since + settings.flapWindow]),
    ...(silent || flapping !== undefined
      ? []
      : ongoing.map(({ alertedAt, since }) =>
          alertedAt === undefined ? since + settings.holdFor : alertedAt + settings.cooldown
        ))
  ]
  const state: Watched = {
    ongoing,
    left,
    owed: owed && !recovers,
    ...(flapping === undefined ? {} : { flapping })
  }
  return { state, alerts, wakeAt: earliest(due, now) }
}

/** Whether anything of it is to outlive the agent: what was told, and what is still to be. */
export const isWorthKeeping = (state: Watched): boolean => state.owed || state.flapping !== undefined
