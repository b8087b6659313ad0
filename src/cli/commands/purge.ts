import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { Code } from "../../grpc/status.ts"
import { Definitions } from "../../services/Definitions.ts"
import { checked } from "../definitions.ts"
import { Exit } from "../errors.ts"
import { Globals } from "../Globals.ts"
import * as Json from "../json.ts"
import { nodeFor } from "../locate.ts"
import { allNodes, isSilence } from "../nodes.ts"
import { answer, note, warn } from "../output.ts"
import { conclude } from "../overview.ts"
import { purgeOn, renderPurge } from "../purging.ts"
import * as rows from "../rows.ts"
import * as Target from "../target.ts"

const dryRun = Options.boolean("dry-run").pipe(Options.withDescription("show what would be dropped only"))

/** The definitions that say what is wanted: of a target its own, so that mistakes in others are in nobody's way. */
const wantedBy = (service: string | undefined) =>
  Effect.gen(function* () {
    const { all, dir } = yield* Definitions
    const folder = yield* all
    if (folder.length === 0) yield* warn(`there are no definitions in ${dir}: nothing is wanted`)
    const chosen = folder
      .filter((definition) => service === undefined || definition.service === service)
      .map((definition) => ({ definition, expectedName: definition.service, components: [] }))
    return yield* Effect.forEach(yield* checked({ chosen, folder }), ({ spec }) =>
      Effect.map(nodeFor(spec.name, spec.node), (node) => ({ spec, node }))
    )
  })

export const purge = Command.make(
  "purge",
  { target: Args.optional(Target.one), dryRun },
  Effect.fn("cli.purge")(function* ({ dryRun, target }) {
    const { component = "", service = "" } = Option.getOrUndefined(target) ?? {}
    const definitions = yield* wantedBy(service === "" ? undefined : service)
    const purging = { service, component, dryRun, keepContainers: false }
    const { answered, entries, silent } = yield* purgeOn(yield* allNodes, definitions, purging)
    // A target is on one node as a rule: that the others know nothing of it is no failure.
    const away = silent.filter(({ error }) => isSilence(error))
    const elsewhere = service !== "" && answered.length > 0
    const failures = silent
      .map(({ error }) => error)
      .filter((error) => !isSilence(error) && !(elsewhere && error.code === Code.NOT_FOUND))
    const { json } = yield* Globals
    if (entries.length === 0 && answered.length > 0 && !json) yield* note("nothing to purge")
    if (entries.length > 0 || (json && answered.length > 0)) {
      const value = { dry_run: dryRun, entries, unreachable_nodes: away.map(rows.unreachable) }
      yield* answer(Json.Purge, value, (look) => renderPurge(entries, dryRun, look))
    }
    const refused = service !== "" && !dryRun && entries.some(({ purged }) => !purged)
    yield* conclude(away, failures, refused ? Exit.failed : 0)
  })
).pipe(Command.withDescription("Drop registry entries that are gone and unwanted"))
