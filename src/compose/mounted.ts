import { isAbsolute } from "node:path/posix"
import { resolvePath } from "./files.ts"
import { childOf, isNull, listOf, type Node } from "./Node.ts"
import type { Project, Scope } from "./Scope.ts"
import { pushStep, quoted } from "./volumes.ts"
import { each, expected, external, type Handler, scalar, type Table, walk } from "./walk.ts"

interface Wanted {
  readonly source: string
  readonly target: string | undefined
  readonly node: Node
  readonly key: string
}

/** Secrets and configs of a service have the same two forms. */
const wantedOf = ({ report }: Scope, value: Node, key: string): ReadonlyArray<Wanted> => {
  if (value.kind !== "seq") {
    if (!isNull(value)) expected(report, value, key, "a list")
    return []
  }
  return listOf(value).flatMap((node, i): ReadonlyArray<Wanted> => {
    const at = `${key}[${i}]`
    if (node.kind !== "map") {
      const found = scalar(report, node, at)
      return found ? [{ source: found.text, target: undefined, node, key: at }] : []
    }
    let source: string | undefined
    let target: string | undefined
    walk(report, node, at, {
      source: ({ value: own }, where) => {
        source = scalar(report, own, where)?.text
      },
      target: ({ value: own }, where) => {
        target = scalar(report, own, where)?.text
      },
      uid: "it is readable by the component's user",
      gid: "it is readable by the component's user",
      mode: "modes are not said in a definition"
    })
    if (source !== undefined) return [{ source, target, node, key: at }]
    report.wrong(node.place, at, "needs source")
    return []
  })
}

/** The value itself is never looked at. */
const setStep = (command: string, declared: Node): string => {
  const file = childOf(declared, "file")
  const variable = childOf(declared, "environment")
  if (file?.kind === "scalar") return `${command} < ${quoted(resolvePath(file.base, file.text))}`
  return variable?.kind === "scalar" && /^[A-Za-z_]\w*$/.test(variable.text)
    ? `printf %s "$${variable.text}" | ${command}`
    : command
}

export const secrets =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    const { draft, report, secretSources, service, top, use } = scope
    for (const { key: at, node, source, target } of wantedOf(scope, value, key)) {
      const declared = top("secrets", source)
      if (declared === undefined) {
        report.wrong(node.place, at, `there is no secret ${source} below secrets`)
        continue
      }
      use("secrets", source)
      // In the container both are the file's name below /run/secrets.
      const plain = target?.replace(/^\/run\/secrets\//, "")
      const elsewhere = plain?.includes("/") ?? false
      const name = plain === undefined || elsewhere ? source : plain
      if (elsewhere)
        report.leftOut(node.place, at, `${target}: secrets are at /run/secrets/${name}; let the program read it there`)
      const other = secretSources.get(name)
      if (other !== undefined && other !== source) {
        report.leftOut(
          node.place,
          at,
          `${name} is the secret ${other} in another component; a service has one of each name`
        )
        continue
      }
      secretSources.set(name, source)
      if (draft.secrets.includes(name)) continue
      scope.from(node.place, "secrets", draft.secrets.length)
      draft.secrets.push(name)
      report.steps.add(setStep(`mcp secret set ${service} ${quoted(name)}`, declared.value))
    }
  }

export const configs =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    const { draft, folders, report, top, use } = scope
    for (const { key: at, node, source, target = `/${source}` } of wantedOf(scope, value, key)) {
      const declared = top("configs", source)
      if (declared === undefined) {
        report.wrong(node.place, at, `there is no config ${source} below configs`)
        continue
      }
      use("configs", source)
      const file = childOf(declared.value, "file")
      if (file?.kind !== "scalar") {
        report.leftOut(
          node.place,
          at,
          `there are no configs: write ${source} into a file, push it, and mount it at ${target} with volumes`
        )
        continue
      }
      if (!isAbsolute(target)) {
        report.wrong(node.place, at, "the path in the container must be absolute")
        continue
      }
      const folder = folders.bind(file, file.text)
      scope.from(node.place, "volumes", draft.volumes.length)
      draft.volumes.push(`${folder.source}:${target}:ro`)
      report.changed(
        node.place,
        at,
        `a config is a file of the node: ${folder.source}, mounted read-only; ${pushStep(scope, folder)}`
      )
    }
  }

const known: Handler = () => undefined

/** A section of the file whose entries components refer to. */
const section =
  ({ report }: Project, used: ReadonlySet<string>, table: Table): Handler =>
  ({ value }, key) =>
    each(report, value, key, (entry, at) => {
      if (!used.has(entry.key)) return report.leftOut(entry.place, at, "no service that is carried over uses it")
      walk(report, entry.value, at, table)
    })

export const topSecrets = (project: Project, used: ReadonlySet<string>): Handler =>
  section(project, used, {
    ...{ file: known, environment: known, external: external(project.report) },
    name: "the secret has the name that the component says",
    driver: "secrets are kept by the agent",
    driver_opts: "secrets are kept by the agent",
    template_driver: "a secret is mounted as it is",
    labels: "secrets have no labels"
  })

export const topConfigs = (project: Project, used: ReadonlySet<string>): Handler =>
  section(project, used, {
    file: known,
    content: "write it into a file, and push that",
    environment: "write it into a file, and push that",
    external: "write it into a file, and push that",
    name: "a file of the node takes its place",
    driver: "a file of the node takes its place",
    template_driver: "a file is mounted as it is",
    labels: "files have no labels"
  })

export const topVolumes = (project: Project, used: ReadonlySet<string>): Handler =>
  section(project, used, {
    external: external(project.report),
    name: "the folder has the name of the volume in the file",
    driver: ({ place, value }, key) => {
      const driver = scalar(project.report, value, key)?.text
      if (driver !== undefined && driver !== "local")
        project.report.leftOut(
          place,
          key,
          `${driver}: volumes are folders of the node; mount it there, and name that folder`
        )
    },
    driver_opts: "volumes are folders of the node; mount what it says there, and name that folder",
    labels: "folders have no labels"
  })
