import { Command } from "@effect/cli"
import { Effect, Either, Option } from "effect"
import { parseDefinition } from "../../../domain/Definition.ts"
import { formatProblem } from "../../../domain/Toml.ts"
import { EditNotSaved } from "../../../services/CliError.ts"
import { type DefinitionFile, Definitions, type Draft } from "../../../services/Definitions.ts"
import { Editor } from "../../../services/Editor.ts"
import * as Json from "../../json.ts"
import { confirm, note } from "../../output.ts"
import { Screen } from "../../Screen.ts"
import * as Target from "../../target.ts"
import { definitionOf } from "./definitionOf.ts"

const problemsOf = ({ file, service }: DefinitionFile, text: string) =>
  Either.match(parseDefinition({ file, text, expectedName: service }), {
    onLeft: (problems) => problems.map(formatProblem),
    onRight: () => []
  })

/** Opens the draft until it is valid, or whoever edits gives up; answers its text. */
const untilValid = (definition: DefinitionFile, draft: Draft) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    for (;;) {
      yield* (yield* Editor).edit(draft.file)
      const text = Option.getOrElse(yield* draft.read, () => "")
      const problems = problemsOf(definition, text)
      if (problems.length === 0 || text === definition.text) return text
      const giveUp = new EditNotSaved({
        ...{ service: definition.service, draft: draft.file, problems },
        why: "it is not a valid definition"
      })
      if (!screen.canAsk) return yield* giveUp
      yield* screen.err(problems.map((problem) => `${problem}\n`).join(""))
      const said = yield* screen.ask("Edit again? [Y/n] ")
      if (/^n/i.test(said.trim())) return yield* new EditNotSaved({ ...giveUp, problems: [] })
    }
  })

export const edit = Command.make(
  "edit",
  { service: Target.service },
  Effect.fn("cli.service.edit")(function* ({ service }) {
    const definitions = yield* Definitions
    const definition = yield* definitionOf(service)
    const draft = definitions.draft(service)
    if (Option.isSome(yield* draft.read)) yield* note(`taking up the draft of an earlier edit, ${draft.file}`)
    else yield* draft.write(definition.text)
    const text = yield* untilValid(definition, draft).pipe(
      // What it left may be half of what was meant; what it did not touch is worth nothing.
      Effect.tapErrorTag("EditorFailed", () =>
        Effect.flatMap(draft.read, (left) => (Option.contains(left, definition.text) ? draft.discard : Effect.void))
      )
    )
    const changed = text !== definition.text
    if (changed) {
      // `mcp stop` or another editor may have been at it meanwhile.
      if ((yield* definitionOf(service)).text !== definition.text) {
        const why = `${definition.file} was changed by somebody else meanwhile`
        return yield* new EditNotSaved({ service, why, draft: draft.file, problems: [] })
      }
      yield* definitions.save({ ...definition, text })
    }
    yield* draft.discard
    yield* confirm(Json.Edited, { service, file: definition.file, changed }, () =>
      changed ? [`saved ${definition.file}`, `next: mcp plan ${service}`] : ["nothing was changed"]
    )
  })
).pipe(Command.withDescription("Open a definition in $EDITOR and check it"))
