import { Effect, Option } from "effect"
import { nearest } from "../domain/nearest.ts"
import { Registry } from "../services/Registry.ts"
import { ServiceNotFound } from "./ProgramError.ts"

/** The service's row, or an error that names the nearest one there is. */
export const findService = (service: string) =>
  Effect.gen(function* () {
    const registry = yield* Registry
    const row = yield* registry.service(service)
    if (Option.isSome(row)) return row.value
    const known = (yield* registry.services).map((other) => other.service)
    const near = nearest(service, known)
    return yield* new ServiceNotFound({ service, ...(near === undefined ? {} : { nearest: near }) })
  })
