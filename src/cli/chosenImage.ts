import { Effect, Either } from "effect"
import * as Image from "../domain/Image.ts"
import { imageOf, withImage } from "../domain/imageLine.ts"
import { formatProblem } from "../domain/Toml.ts"
import { UsageError } from "../services/CliError.ts"
import { Definitions } from "../services/Definitions.ts"
import { type Loaded, load, type Selection } from "./definitions.ts"
import { editImages, type ImageChange } from "./imageFile.ts"
import type * as Json from "./json.ts"
import { note } from "./output.ts"

/* `deploy --image REF`: the image of one component is another one than its definition says, and the file follows. */

export interface ChosenImage {
  readonly loaded: ReadonlyArray<Loaded>
  readonly file: string
  readonly change: ImageChange
}

const refuse = (problem: string) => new UsageError({ problem })

/** Whether it is an image reference; nothing else is looked at before. */
export const checkReference = (reference: string) =>
  Image.parse(reference) === undefined
    ? refuse(`--image ${reference}: expected an image reference such as registry.example/app:v1`)
    : Effect.void

const oneComponent = ({ components, spec }: Loaded): string | undefined => {
  const meant = components.length > 0 ? components : spec.components.map((c) => c.name)
  return meant.length === 1 ? meant[0] : undefined
}

/** The definition as it would be with the image, checked as any other. */
export const chooseImage = (selection: Selection, loaded: ReadonlyArray<Loaded>, reference: string) =>
  Effect.gen(function* () {
    const [one, ...others] = loaded
    const [chosen] = selection.chosen
    if (one === undefined || chosen === undefined || others.length > 0) {
      return yield* refuse("--image takes one target only")
    }
    const component = oneComponent(one)
    if (component === undefined) {
      const { components, name } = one.spec
      const example = `${name}/${components[0].name}`
      return yield* refuse(`--image is for one component: say which of ${name}'s, such as ${example}`)
    }
    const { file, text } = chosen.definition
    const edited = withImage(text, component, reference, file)
    if (Either.isLeft(edited)) return yield* refuse(formatProblem(edited.left))
    const definition = { ...chosen.definition, text: edited.right }
    return {
      loaded: yield* load({ ...selection, chosen: [{ ...chosen, definition }] }),
      file,
      change: { component, from: imageOf(text, component) ?? "", to: reference }
    } satisfies ChosenImage
  })

/** Once the image runs, the definition says so; read again, since a deployment takes its time. */
export const keepImage = ({ change, file }: ChosenImage, state: Json.DeployService["state"]) =>
  Effect.gen(function* () {
    const { component, to } = change
    if (state === "starting") {
      yield* note(`${file} is as it was: set ${component}'s image = "${to}" in it once the deployment has succeeded`)
    }
    if (state !== "succeeded") return null
    return yield* editImages(yield* (yield* Definitions).open(file), [change])
  })
