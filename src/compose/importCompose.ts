import { dirname } from "node:path/posix"
import { Either } from "effect"
import { parseDefinition } from "../domain/Definition.ts"
import { definitionText } from "../domain/definitionText.ts"
import type { Problem } from "../domain/Toml.ts"
import { buildTable } from "./build.ts"
import { type ReadFile, readEnvFile } from "./files.ts"
import { makeFolders } from "./folders.ts"
import type { Lookup } from "./interpolate.ts"
import { loadFiles } from "./load.ts"
import { topConfigs, topSecrets, topVolumes } from "./mounted.ts"
import { childOf, type Entry, listOf, type MapNode, type Place } from "./Node.ts"
import { componentNames, serviceName } from "./names.ts"
import { topNetworks } from "./networks.ts"
import { type Finding, type Item, makeReport, placeId, type Report } from "./Report.ts"
import type { Draft, Project } from "./Scope.ts"
import { readService } from "./service.ts"
import { each, walk } from "./walk.ts"

export interface Input {
  /** Each is laid over those before it. */
  readonly files: readonly [string, ...Array<string>]
  /** The service's name; without it the project's. */
  readonly name: string | undefined
  /** What the folder of the first file is called. */
  readonly folderName: string
  readonly profiles: ReadonlyArray<string>
  readonly env: Readonly<Record<string, string | undefined>>
  /** Instead of `.env` beside the first file. */
  readonly envFile: string | undefined
  readonly read: ReadFile
  readonly kind: (path: string) => "file" | "folder" | undefined
}

export interface Imported {
  readonly service: string
  /** The definition. */
  readonly text: string
  readonly components: ReadonlyArray<string>
  readonly items: ReadonlyArray<Item>
  readonly steps: ReadonlyArray<string>
  /** Where every key stands that was gone into. */
  readonly visited: ReadonlySet<string>
}

type Problems = readonly [Finding, ...Array<Finding>]

const emptyDraft = (name: string): Draft => ({
  ...{ name, image: "", env: new Map(), ports: [], volumes: [], secrets: [], depends_on: [], routes: [] }
})

const encoded = ({ env, ...draft }: Draft) => ({
  ...draft,
  env: Object.fromEntries(env)
})

const profilesOf = (entry: Entry): ReadonlyArray<string> => {
  const profiles = childOf(entry.value, "profiles")
  return profiles === undefined ? [] : listOf(profiles).flatMap((item) => (item.kind === "scalar" ? [item.text] : []))
}

/** The nearest place of the compose file that a part of the definition comes from. */
const originOf = (report: Report, key: string, fallback: Place): Place => {
  for (let at = key; at !== ""; at = at.replace(/(\.[^.[\]]*|\[[^[\]]*\])$/, "")) {
    const found = report.origins.get(at)
    if (found) return found
    if (!/[.[]/.test(at)) break
  }
  return fallback
}

const activeServices = (report: Report, services: Entry, active: ReadonlySet<string>) => {
  const chosen: Array<Entry> = []
  const inactive = new Map<string, Entry>()
  each(report, services.value, "services", (entry, key) => {
    const profiles = profilesOf(entry)
    if (profiles.length === 0 || active.has("*") || profiles.some((profile) => active.has(profile))) chosen.push(entry)
    else {
      inactive.set(entry.key, entry)
      report.leftOut(entry.place, key, `its profiles are not active: ${profiles.join(", ")}; --profile takes one in`)
    }
  })
  return { chosen, inactive }
}

/** Jobs that others wait for the end of. */
const settleRestarts = (
  report: Report,
  drafts: ReadonlyArray<{ draft: Draft; at: Place; path: string }>,
  jobs: ReadonlySet<string>
) => {
  for (const { at, draft, path } of drafts) {
    if (jobs.has(draft.name) && draft.restart !== "no") {
      if (draft.restart !== undefined)
        report.changed(at, path, 'others wait for its end, so it is a job: restart = "no"')
      draft.restart = "no"
    } else if (draft.restart === undefined) {
      draft.restart = "no"
      report.advise(
        at,
        path,
        'it has no restart, and is not started again when it ends, as in compose; MCP\'s own default is "unless-stopped"'
      )
    }
  }
}

const convert = (input: Input, root: MapNode, lookup: Lookup, report: Report) => {
  const [first] = input.files
  const start = { file: first, line: 1, column: 1 }
  const services = root.entries.get("services")
  if (services === undefined) return void report.wrong(start, "", "has no services")
  const folder = dirname(first)
  const active = new Set([
    ...input.profiles,
    ...(lookup("COMPOSE_PROFILES") ?? "").split(",").map((name) => name.trim())
  ])
  const { chosen, inactive } = activeServices(report, services, active)
  if (chosen.length === 0) {
    if (report.problems.length > 0) return undefined
    const known = [...new Set([...inactive.values()].flatMap(profilesOf))]
    return void report.wrong(
      services.place,
      "services",
      known.length === 0 ? "has no service" : `all are of profiles that are not active: ${known.join(", ")}`
    )
  }
  const service = serviceName(report, input, root.entries.get("name"), lookup)
  const used = new Set<string>()
  const project: Project = {
    ...{ report, lookup, service, folder, kind: input.kind, loader: { read: input.read, report } },
    components: componentNames(report, chosen),
    inactive: new Set(inactive.keys()),
    folders: makeFolders(service, folder),
    top: (section, name) => {
      const found = root.entries.get(section)?.value
      return found?.kind === "map" ? found.entries.get(name) : undefined
    },
    use: (section, name) => void used.add(`${section}.${name}`),
    ...{ images: new Map(), jobs: new Set(), routePorts: new Set(), secretSources: new Map() }
  }
  const drafts = chosen.map((entry, i) => {
    const name = project.components.get(entry.key) ?? entry.key
    const draft = emptyDraft(name)
    const path = `services.${entry.key}`
    const here = `components[${i}]`
    report.origins.set(here, entry.place)
    const from = (place: Place, ...parts: ReadonlyArray<string | number>) => {
      const key = parts.reduce<string>(
        (text, part) => (typeof part === "number" ? `${text}[${part}]` : `${text}.${part}`),
        here
      )
      report.origins.set(key, place)
    }
    readService({ ...project, draft, name: entry.key, path, at: entry.place, from }, entry.value)
    return { draft, at: entry.place, path }
  })
  settleRestarts(report, drafts, project.jobs)
  const usedOf = (section: string) =>
    new Set([...used].filter((name) => name.startsWith(`${section}.`)).map((name) => name.slice(section.length + 1)))
  walk(report, root, "", {
    // These have been gone into.
    ...{ services: () => undefined, name: () => undefined },
    version: "compose reads it no more",
    volumes: topVolumes(project, usedOf("volumes")),
    networks: topNetworks(project, usedOf("networks")),
    secrets: topSecrets(project, usedOf("secrets")),
    configs: topConfigs(project, usedOf("configs")),
    models: "there are no models"
  })
  const sources = buildTable(project, input.folderName)
  const [one, ...others] = drafts.map(({ draft }) => encoded(draft))
  if (one === undefined) return undefined
  if (sources) report.steps.add(`mcp build ${service}`)
  const build = sources && { path: sources.path, build: { images: sources.images } }
  return { name: service, ...build, components: [one, ...others] as const }
}

/** As they stand in the files, so that one can go through them there. */
const inOrder = <A extends Finding>(items: ReadonlyArray<A>): ReadonlyArray<A> => {
  const files = [...new Set(items.map(({ place }) => place.file))]
  return [...items].sort(
    ({ place: a }, { place: b }) =>
      files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line || a.column - b.column
  )
}

const withUnset =
  (report: Report) =>
  (problem: Finding): Finding => {
    const unset = (report.unset.get(placeId(problem.place)) ?? []).filter((name) => !problem.message.includes(name))
    return unset.length === 0
      ? problem
      : { ...problem, message: `${problem.message}; not set: ${[...new Set(unset)].join(", ")}` }
  }

/** Compose takes such a file in by itself, unless files are named. */
const besides = (report: Report, { files, read }: Input, start: Place) => {
  const [first, ...others] = files
  const match = /^(.*?)((?:docker-)?compose)\.(ya?ml)$/.exec(first)
  if (match === null || others.length > 0) return
  for (const ending of ["yml", "yaml"]) {
    const override = `${match[1]}${match[2]}.override.${ending}`
    const found = read(override)
    if (Either.isRight(found) && found.right !== undefined)
      report.advise(start, "", `${override} lies beside it and is not read: name it too, after this one`)
  }
}

const problemsOf = (report: Report, start: Place, found: ReadonlyArray<Problem>): ReadonlyArray<Finding> =>
  found.map(({ key, message }) => ({ place: originOf(report, key, start), key, message }))

/** What compose files say, as a definition, and all that it cannot say; or everything that is wrong with them. */
export const importCompose = (input: Input): Either.Either<Imported, Problems> => {
  const report = makeReport()
  const [first] = input.files
  const start = { file: first, line: 1, column: 1 }
  const folder = dirname(first)
  const own: Lookup = (name) => (Object.hasOwn(input.env, name) ? input.env[name] : undefined)
  const loader = { read: input.read, report }
  const file = input.envFile ?? (folder === "." ? ".env" : `${folder}/.env`)
  const values = readEnvFile(loader, file, own, undefined, { required: input.envFile !== undefined })
  const lookup: Lookup = (name) => own(name) ?? values?.get(name)
  const failed = () => Either.left(inOrder(report.problems).map(withUnset(report)) as unknown as Problems)

  besides(report, input, start)
  const root = loadFiles(
    loader,
    input.files.map((path) => ({ path })),
    folder,
    lookup
  )
  if (root === undefined) return failed()
  const definition = convert(input, root, lookup, report)
  if (report.problems.length > 0 || definition === undefined) return failed()
  const text = definitionText(definition, [
    `Imported from ${input.files.map((path) => path.split("/").at(-1)).join(" and ")}.`
  ])
  const parsed = parseDefinition({ file: first, text })
  if (Either.isLeft(parsed)) {
    report.problems.push(...problemsOf(report, start, parsed.left))
    return failed()
  }
  for (const { key, message, place } of problemsOf(report, start, parsed.right.warnings))
    report.advise(place, key, message)
  return Either.right({
    ...{ text, service: definition.name, components: definition.components.map(({ name }) => name) },
    ...{ items: inOrder(report.items), steps: [...report.steps], visited: report.visited }
  })
}
