import { basename, isAbsolute, join, relative } from "node:path/posix"
import { parse } from "../domain/Image.ts"
import { resolvePath } from "./files.ts"
import type { Node } from "./Node.ts"
import type { Project, Scope } from "./Scope.ts"
import { type Handler, scalar, walk } from "./walk.ts"

const isRemote = (context: string) => /^(https?:|git@|git:|ssh:|github\.com\/)/.test(context)

/** Runs after `image`: an image that has no name yet gets one. */
export const build =
  (scope: Scope): Handler =>
  ({ place, value }, key) => {
    const { draft, images, report, service } = scope
    let context = { text: ".", node: value as Node }
    let dockerfile = "Dockerfile"
    if (value.kind === "map") {
      walk(report, value, key, {
        context: ({ value: own }, at) => {
          context = { text: scalar(report, own, at)?.text ?? ".", node: own }
        },
        dockerfile: ({ value: own }, at) => {
          dockerfile = scalar(report, own, at)?.text ?? dockerfile
        },
        dockerfile_inline: "write it into a Dockerfile, and name that below [build.images]",
        args: "build arguments are not passed: give ARG a default in the Dockerfile",
        target: "the last stage is built: put the wanted one last, or into a Dockerfile of its own",
        tags: "the image has the name that the component says",
        labels: "write LABEL into the Dockerfile",
        ...Object.fromEntries(
          [
            "additional_contexts",
            "cache_from",
            "cache_to",
            "entitlements",
            "extra_hosts",
            "isolation",
            "network",
            "no_cache"
          ]
            .concat([
              "no_cache_filter",
              "platforms",
              "privileged",
              "provenance",
              "pull",
              "sbom",
              "secrets",
              "shm_size",
              "ssh",
              "ulimits"
            ])
            .map((name) => [name, "the build has no such option"])
        )
      })
    } else context = { text: scalar(report, value, key)?.text ?? ".", node: value }
    if (isRemote(context.text)) {
      report.leftOut(
        place,
        key,
        `${context.text} is elsewhere: clone it below [build].workspace, and set path and [build.images]`
      )
    }
    const named = draft.image === "" ? undefined : parse(draft.image)
    const base = named ? basename(named.repository) : draft.name === service ? service : `${service}-${draft.name}`
    if (draft.image === "") {
      draft.image = `localhost/${base}:v1`
      scope.from(place, "image")
      report.changed(
        place,
        key,
        `the image had no name: ${draft.image}, made up; put your image registry's in its place`
      )
    }
    if (!isRemote(context.text))
      images.set(base, { dockerfile, context: resolvePath(context.node.base, context.text), node: value })
  }

/** One folder holds the sources of all images: their context, or the project where there are several. */
export const buildTable = ({ folder, images, report }: Project, project: string) => {
  const all = [...images]
  const [first] = all
  if (first === undefined) return undefined
  const [, { context: root }] = all.every(([, { context }]) => context === first[1].context)
    ? first
    : ["", { context: folder }]
  const below = (from: string, path: string) => (isAbsolute(path) === isAbsolute(from) ? relative(from, path) : path)
  const inProject = below(folder, root)
  const path = /^\.\.(\/|$)/.test(inProject) || isAbsolute(inProject) ? basename(inProject) : join(project, inProject)
  for (const [image, { context, node }] of all) {
    const moved =
      context === root ? "" : `; ${image} is built there too, not in ${below(root, context)}: its Dockerfile must fit`
    report.changed(node.place, "build", `path = "${path}" is looked for below [build].workspace${moved}`)
  }
  const dockerfiles = all.map(
    ([image, { context, dockerfile }]) =>
      [image, isAbsolute(dockerfile) ? dockerfile : below(root, join(context, dockerfile))] as const
  )
  return { path, images: Object.fromEntries(dockerfiles) }
}
