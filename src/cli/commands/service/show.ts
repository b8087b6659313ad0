import { Command } from "@effect/cli"
import { Effect } from "effect"
import { ServiceSpec } from "../../../domain/Spec.ts"
import { checked, selection } from "../../definitions.ts"
import { Globals } from "../../Globals.ts"
import { answer } from "../../output.ts"
import { Screen } from "../../Screen.ts"
import * as Target from "../../target.ts"
import { definitionOf } from "./definitionOf.ts"

/** The file for people, broken or not; as JSON what it says, with every default filled in. */
export const show = Command.make(
  "show",
  { service: Target.service },
  Effect.fn("cli.service.show")(function* ({ service }) {
    const definition = yield* definitionOf(service)
    if (!(yield* Globals).json) return yield* (yield* Screen).out(definition.text)
    const targets = [{ service, component: undefined }]
    for (const { spec } of yield* checked(yield* selection({ targets, all: false, file: undefined }))) {
      yield* answer(ServiceSpec, spec, () => [])
    }
  })
).pipe(Command.withDescription("A service's definition"))
