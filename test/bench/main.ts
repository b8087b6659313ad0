import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { exitCodeOf } from "../../src/programs/main.ts"
import * as Cli from "./cli.ts"
import * as Deploy from "./deploy.ts"
import * as Drift from "./drift.ts"
import { measure, type Row } from "./harness.ts"
import * as Idle from "./idle.ts"
import { machine } from "./machine.ts"
import * as Registry500 from "./registry500.ts"
import * as Rpc from "./rpc.ts"
import * as Site from "./site.ts"
import { markdown, type Result } from "./statistics.ts"
import * as Transfer from "./transfer.ts"
import { transferMemory } from "./transferMemory.ts"

const root = join(import.meta.dirname, "../..")

/** A row measured by turns, or one that measures itself. */
type Measured = Row | Effect.Effect<ReadonlyArray<Result>>

const rows: Readonly<Record<string, (site: Site.Site) => Measured>> = {
  "deploy-1": Deploy.deploy1,
  "deploy-1-warm": Deploy.deploy1Warm,
  "deploy-8": Deploy.deploy8,
  "deploy-unchanged": Deploy.deployUnchanged,
  "cli-version": Cli.cliVersion,
  "cli-help": Cli.cliHelp,
  "cli-ps": Cli.cliPs,
  "rpc-rate": Rpc.rate,
  "push-1g": Transfer.push1g,
  "pull-1g": Transfer.pull1g,
  "push-10k": Transfer.push10k,
  "transfer-memory": () => transferMemory,
  drift: () => Drift.drift,
  "agent-idle": () => Idle.agentIdle,
  "status-500": () => Registry500.status500,
  "scan-500": () => Registry500.scan500,
  "events-memory": () => Registry500.eventsMemory
}

const words = (text = "") => text.split(",").filter((word) => word !== "")

/** The table as far as it is, after each row: a long run that is ended has something to show. */
const keep = (about: ReadonlyArray<string>, results: ReadonlyArray<Result>) => {
  const dir = join(root, ".bench")
  mkdirSync(dir, { recursive: true })
  writeFileSync(join(dir, "results.json"), `${JSON.stringify(results, null, 2)}\n`)
  const text = `${about.join("  \n")}\n\n${markdown(results)}\n`
  writeFileSync(join(dir, "results.md"), text)
  return text
}

const program = Effect.gen(function* () {
  const asked = words(process.env.ONLY)
  const unknown = asked.filter((name) => !(name in rows))
  const runs = Number(process.env.RUNS ?? 9)
  if (unknown.length > 0 || !Number.isInteger(runs) || runs < 1) {
    yield* Console.error(`ONLY takes some of ${Object.keys(rows).join(",")}, and RUNS a number from 1`)
    process.exitCode = 2
    return
  }
  const about = [...machine(Site.mcp), `medians of ${runs} runs after a warm-up, by turns (least-most)`]
  yield* Console.error(about.join("\n"))
  const site = yield* Site.make
  const results: Array<Result> = []
  for (const [name, row] of Object.entries(rows)) {
    if (asked.length > 0 && !asked.includes(name)) continue
    yield* Console.error(`measuring ${name}`)
    const measured = row(site)
    results.push(...(yield* Effect.isEffect(measured) ? measured : measure(measured, runs)))
    keep(about, results)
  }
  yield* Console.log(keep(about, results))
  // A missed target is a result; that our own programs could not be run is a failure.
  if (results.some(({ ours }) => !("median" in ours))) process.exitCode = 1
}).pipe(Effect.scoped)

NodeRuntime.runMain(program, { teardown: (exit, end) => end(exitCodeOf(exit, 130)) })
