import * as Image from "./Image.ts"
import type { ServiceSpec } from "./Spec.ts"
import { type Violation, violation } from "./Violation.ts"

/** An image of `[build.images]` that components use, under the one full name that they give it. */
export interface Buildable {
  readonly name: string
  readonly reference: string
  /** As the definition has it, below the context folder. */
  readonly dockerfile: string
  /** Who uses it. */
  readonly components: ReadonlyArray<string>
  /** A tag that may mean another image tomorrow. */
  readonly floating: boolean
}

/** Why an image of `[build.images]` cannot be built. */
export interface Unbuildable {
  readonly name: string
  readonly why: "unused" | "digest" | "several"
  readonly message: string
}

const listed = (words: ReadonlyArray<string>) => words.join(", ")

const imagesOf = (spec: ServiceSpec) => listed(spec.components.map(({ image, name }) => `${name} has ${image}`))

const one = (spec: ServiceSpec, name: string, dockerfile: string): Buildable | Unbuildable => {
  const users = spec.components.filter(({ image }) => Image.baseName(image) === name)
  const pinned = users.find(({ image }) => Image.parse(image)?.digest !== undefined)
  const references = [...new Set(users.map(({ image }) => image as string))]
  const [reference, other] = references
  if (reference === undefined) {
    return { name, why: "unused", message: `no component uses an image called ${name}: ${imagesOf(spec)}` }
  }
  if (pinned !== undefined) {
    const message = `component ${pinned.name} has ${name} by its digest, which no build can promise: name a tag`
    return { name, why: "digest", message }
  }
  if (other !== undefined) {
    const said = users.map(({ image, name }) => `${image} in component ${name}`)
    return { name, why: "several", message: `components want ${name} under several names: ${listed(said)}` }
  }
  const components = users.map((component) => component.name as string)
  return { name, reference, dockerfile, components, floating: Image.isFloating(reference) }
}

const isBuildable = (found: Buildable | Unbuildable): found is Buildable => "reference" in found

/** The images of a definition that can be built, in its order, and those that cannot, with why. */
export const buildPlan = (
  spec: ServiceSpec
): { readonly images: ReadonlyArray<Buildable>; readonly refused: ReadonlyArray<Unbuildable> } => {
  const found = Object.entries(spec.build.images).map(([name, dockerfile]) => one(spec, name, dockerfile))
  return {
    images: found.filter(isBuildable),
    refused: found.filter((each): each is Unbuildable => !isBuildable(each))
  }
}

const codes = { unused: "BUILD_UNUSED", digest: "BUILD_DIGEST", several: "BUILD_AMBIGUOUS" } as const

/** What `mcp build` will not do; a deploy minds none of it. */
export const checkBuild = (spec: ServiceSpec): ReadonlyArray<Violation> =>
  buildPlan(spec).refused.map(({ message, name, why }) => ({
    ...violation(["build", "images", name], codes[why], message),
    severity: "warning"
  }))
