import { Effect, Either } from "effect"
import * as Image from "../domain/Image.ts"
import { imageOf, sameImage, withImage } from "../domain/imageLine.ts"
import { formatProblem } from "../domain/Toml.ts"
import { DefinitionNotSaved } from "../services/CliError.ts"
import { type DefinitionFile, Definitions } from "../services/Definitions.ts"
import { note, warn } from "./output.ts"

export interface ImageChange {
  readonly component: string
  readonly from: string
  readonly to: string
}

interface Edited {
  readonly text: string
  readonly done: ReadonlyArray<ImageChange>
  readonly undone: ReadonlyArray<string>
}

const apply = (file: string, edited: Edited, change: ImageChange): Edited => {
  const { component, from, to } = change
  const current = imageOf(edited.text, component)
  const not = (why: string) => ({ ...edited, undone: [...edited.undone, why] })
  if (current === undefined) return not(`${file} has no image for ${component} any more`)
  if (sameImage(current, to)) return edited
  if (!sameImage(current, from)) {
    return not(`${file}: ${component}'s image was changed to ${current} meanwhile, and is left so`)
  }
  return Either.match(withImage(edited.text, component, to, file), {
    onLeft: (problem) => not(formatProblem(problem)),
    onRight: (text) => ({ ...edited, text, done: [...edited.done, change] })
  })
}

/** Lets a definition follow to other images, where it still has the ones before; the file, if it was changed. */
export const editImages = (definition: DefinitionFile, changes: ReadonlyArray<ImageChange>) =>
  Effect.gen(function* () {
    const { file } = definition
    const none: Edited = { text: definition.text, done: [], undone: [] }
    const { done, text, undone } = changes.reduce((edited, change) => apply(file, edited, change), none)
    for (const why of undone) yield* warn(why)
    if (done.length === 0) return null
    const definitions = yield* Definitions
    yield* definitions.save({ ...definition, text }).pipe(
      Effect.mapError(({ file, why }) => {
        const line = done.map(({ component, to }) => `${component}'s image = "${to}"`).join(" and ")
        return new DefinitionNotSaved({ file, why, line })
      })
    )
    for (const { component, to } of done) yield* note(`${file}: ${component}'s image is ${Image.version(to)} now`)
    return file
  })
