import { Effect, Option } from "effect"
import { nearest } from "../../../domain/nearest.ts"
import { NoDefinition } from "../../../services/CliError.ts"
import { Definitions } from "../../../services/Definitions.ts"

/** The file of a service, whatever stands in it. */
export const definitionOf = (service: string) =>
  Effect.gen(function* () {
    const { all, dir, find } = yield* Definitions
    const found = yield* find(service)
    if (Option.isSome(found)) return found.value
    const names = (yield* all).map((definition) => definition.service)
    return yield* new NoDefinition({ service, dir, nearest: nearest(service, names) })
  })
