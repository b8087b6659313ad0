import { relative, resolve } from "node:path"
import { Effect } from "effect"
import { type Buildable, buildPlan } from "../domain/BuildPlan.ts"
import { nearest } from "../domain/nearest.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import type { ImageSource } from "../programs/buildImages.ts"
import { BuildRefused } from "../services/CliError.ts"
import { LocalFiles } from "../services/LocalFiles.ts"
import { Settings } from "./Settings.ts"

interface Asked {
  readonly spec: ServiceSpec
  /** The file of the definition. */
  readonly file: string
  /** A key of `[build.images]`; undefined: all of them. */
  readonly image: string | undefined
}

const refused =
  (service: string, nextStep: string) =>
  (first: string, ...more: ReadonlyArray<string>) =>
    new BuildRefused({ service, nextStep, problems: [first, ...more] })

/** The images that are meant; one that was named must be one that can be built. */
const chosen = ({ file, image, spec }: Asked) =>
  Effect.gen(function* () {
    const { name: service } = spec
    const keys = Object.keys(spec.build.images)
    if (keys.length === 0) {
      return yield* refused(
        service,
        `set path, and below [build.images] an image's base name = "Dockerfile", in ${file}`
      )(`${service} has nothing to build: its definition has no [build.images]`)
    }
    if (image !== undefined && !keys.includes(image)) {
      const near = nearest(image, keys)
      return yield* refused(
        service,
        `mcp build ${service}/${near ?? keys[0]}`
      )(`${service} builds no image ${image}, but ${keys.join(", ")}`)
    }
    const isAsked = ({ name }: { readonly name: string }) => image === undefined || name === image
    const plan = buildPlan(spec)
    const images = plan.images.filter(isAsked)
    // Without a name, one that nothing uses is left out: its warning has told of it.
    const wrong = plan.refused.filter(isAsked).filter(({ why }) => image !== undefined || why !== "unused")
    const [first, ...rest] = wrong.map(({ message }) => message)
    const correct = refused(service, `correct the image lines or [build.images] in ${file}`)
    if (first !== undefined) return yield* correct(first, ...rest)
    if (images.length === 0) {
      return yield* correct(`${service} has nothing to build: no component uses an image of its [build.images]`)
    }
    return images
  })

const isBelow = (folder: string, path: string) => {
  const way = relative(folder, path)
  return way === "" || !(way === ".." || way.startsWith("../") || way.startsWith("/"))
}

/** The folder of the sources: there, and below the workspace. */
const contextOf = ({ file, spec: { name, path } }: Asked) =>
  Effect.gen(function* () {
    const { configFile, workspace } = yield* Settings
    const { kind } = yield* LocalFiles
    if (path === undefined) {
      return yield* refused(
        name,
        `set path in ${file}: the source folder, below [build] workspace of ${configFile}`
      )(`the definition of ${name} does not say where its sources lie`)
    }
    if (workspace === undefined) {
      return yield* refused(
        name,
        `[build] and below it workspace = "~/src", or the like, in ${configFile}`
      )(`the config does not say where the sources lie of which path = "${path}" is one`)
    }
    const context = resolve(workspace, path)
    if (!isBelow(workspace, context)) {
      return yield* refused(
        name,
        `correct path in ${file}, or [build] workspace in ${configFile}`
      )(`path = "${path}" leads out of the workspace ${workspace}`)
    }
    if (kind(context) === "folder") return context
    const found = kind(context) === "file" ? `${context} is a file` : `there is no folder ${context}`
    return yield* refused(name, `put the sources there, or correct path in ${file}`)(found)
  })

/** What to build, and of what; everything that is missing is told before anything is built. */
export const buildSources = (asked: Asked) =>
  Effect.gen(function* () {
    const { file, spec } = asked
    const images = yield* chosen(asked)
    const context = yield* contextOf(asked)
    const { kind } = yield* LocalFiles
    const dockerfileOf = (image: Buildable) => resolve(context, image.dockerfile)
    const wrong = images.flatMap((image) => {
      const dockerfile = dockerfileOf(image)
      if (!isBelow(context, dockerfile))
        return [`the Dockerfile ${image.dockerfile} of ${image.name} is not below ${context}`]
      return kind(dockerfile) === "file" ? [] : [`there is no Dockerfile ${dockerfile} for ${image.name}`]
    })
    const [first, ...rest] = wrong
    if (first !== undefined) {
      return yield* refused(spec.name, `write it, or correct [build.images] in ${file}`)(first, ...rest)
    }
    return images.map(
      (image): ImageSource => ({
        image,
        order: { reference: image.reference, context, dockerfile: dockerfileOf(image) }
      })
    )
  })
