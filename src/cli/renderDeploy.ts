import type * as Json from "./json.ts"
import type { Look } from "./output.ts"
import { versions } from "./planAll.ts"
import { table } from "./table.ts"
import { took } from "./time.ts"

export const past: Record<Json.DeployService["components"][number]["action"], string> = {
  create: "created",
  replace: "replaced",
  start: "started",
  unchanged: "unchanged",
  orphan: "orphan",
  stop: "stopped"
}

/** What the kinds of deployment call themselves. */
export interface Words {
  readonly done: (where: string) => string
  readonly started: (where: string) => string
  readonly idle: string
}

const deploying: Words = {
  done: (where) => `deployed ${where}`,
  started: (where) => `started ${where}`,
  idle: "nothing to do, all is as defined"
}

const title = (s: Json.DeployService, words: Words): string => {
  const where = `${s.service} on ${s.node}`
  if (s.state === "starting") return `${words.started(where)}; the agent goes on watching it: mcp status ${s.service}`
  const idle = s.components.every((c) => c.action === "unchanged" || c.action === "orphan")
  return idle ? `${where}: ${words.idle}` : `${words.done(where)} in ${took(s.duration_ms)}`
}

/** What was done; a failed deployment speaks for itself in its error. */
export const renderDeploy = (
  services: ReadonlyArray<Json.DeployService>,
  look: Look,
  words = deploying
): ReadonlyArray<string> => [
  ...services
    .filter((s) => s.state === "succeeded" || s.state === "starting")
    .flatMap((s) => [
      title(s, words),
      ...table(
        ["COMPONENT", "ACTION", "VERSION", "TIME"],
        s.components.map((c) => [
          c.component,
          { text: past[c.action], style: c.action === "unchanged" ? ("dim" as const) : ("green" as const) },
          versions(c.from_image, c.to_image),
          c.duration_ms === 0 ? "" : took(c.duration_ms)
        ]),
        { ...look, width: look.width - 2 }
      ).map((line) => `  ${line}`)
    ]),
  ...services
    .filter((s) => s.state === "pinned")
    .map((s) => `${s.service} on ${s.node}: skipped, rolled back from this definition; change it or use --force`)
]
