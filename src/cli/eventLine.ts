import { tame } from "./ansi.ts"
import type * as Json from "./json.ts"
import type { Look } from "./output.ts"
import { stamp } from "./time.ts"

const styles: Readonly<Record<string, "red" | "green" | "yellow">> = {
  exited: "red",
  unhealthy: "red",
  removed: "red",
  rolled_back: "red",
  away: "red",
  running: "green",
  succeeded: "green",
  recovered: "green",
  answers: "green"
}

const what = ({ from, kind, to }: Json.Event, { paint }: Look) => {
  const state = paint(styles[to] ?? (kind === "drift" || kind === "alert" ? "yellow" : undefined), to)
  switch (kind) {
    case "observed":
    case "restarted":
      if (kind === "restarted" && to === "failed") return paint("red", "did not start again")
      return `${from === null ? "" : `${from} -> `}${state}${kind === "restarted" ? " (started again)" : ""}`
    case "heal":
      return to === "failed" ? paint("red", "not healed") : `healed: ${state}`
    case "recovered":
      return `no longer ${to}`
    case "silence":
      return to === "begun" ? "silenced" : "no longer silenced"
    default:
      return `${kind} ${state}`
  }
}

/** One line: when, where, what, why, by whom. */
export const eventLine = (event: Json.Event, look: Look, where: "on node" | "here" = "on node") => {
  const target = event.component === null ? event.service : `${event.service}/${event.component}`
  const subject =
    where === "here" ? (event.component ?? "") : `${target === "" ? "the node" : target}${` on ${event.node}`}`
  const why = event.message === null ? "" : `: ${tame(event.message)}`
  const by = event.actor === null ? "" : `  by ${event.actor}`
  const when = event.at === null ? "-" : stamp(event.at)
  return `${look.paint("dim", when)}  ${subject === "" ? "" : `${subject}: `}${what(event, look)}${why}${by}`
}
