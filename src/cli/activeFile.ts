import { Effect, Either, Option } from "effect"
import { withActive } from "../domain/activeLine.ts"
import { formatProblem } from "../domain/Toml.ts"
import { Definitions } from "../services/Definitions.ts"
import { note, warn } from "./output.ts"

/** Writes the desired state into the definition, so that the next deploy agrees with the registry. */
export const editActive = (service: string, active: boolean) =>
  Effect.gen(function* () {
    const definitions = yield* Definitions
    const found = yield* definitions.find(service)
    if (Option.isNone(found)) {
      yield* warn(`there is no definition ${definitions.dir}/${service}.toml to set active = ${active} in`)
      return null
    }
    const edited = withActive(found.value.text, active, found.value.file)
    if (Either.isLeft(edited)) {
      yield* warn(`active = ${active} could not be set: ${formatProblem(edited.left)}`)
      return null
    }
    const text = edited.right
    if (text === found.value.text) return null
    yield* definitions.save({ ...found.value, text })
    yield* note(`set active = ${active} in ${found.value.file}`)
    return found.value.file
  })
