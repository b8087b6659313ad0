import { isAbsolute } from "node:path/posix"
import type { Folder } from "./folders.ts"
import { childOf, isNull, listOf, type Node, type Place } from "./Node.ts"
import type { Scope } from "./Scope.ts"
import { boolean, eachItem, expected, type Handler, scalar, walk } from "./walk.ts"

const isPath = (source: string) => /^[./~]/.test(source)
/** For a command that is to be copied. */
export const quoted = (path: string) => (/^[\w./~@-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)

/** Brings a file or folder of the workstation to the node, before the first deploy; answers what to say of it. */
export const pushStep = (scope: Pick<Scope, "kind" | "report" | "service">, { below, local }: Folder): string => {
  const kind = local === undefined ? undefined : scope.kind(local)
  if (local === undefined || kind === undefined) return "it is not here, and starts as an empty folder"
  const words = ["mcp push", ...(kind === "folder" ? ["-r"] : []), quoted(local), scope.service, quoted(below || ".")]
  scope.report.steps.add(words.join(" "))
  return "push what is here there, before the first deploy"
}

const mount = (scope: Scope, place: Place, source: string, target: string, readOnly: boolean) => {
  const { draft } = scope
  scope.from(place, "volumes", draft.volumes.length)
  draft.volumes.push(`${source}:${target}${readOnly ? ":ro" : ""}`)
}

interface Mount {
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
  readonly subpath?: string | undefined
}

const bind = (scope: Scope, node: Node, key: string, { readOnly, source, target }: Mount) => {
  const { folders, report } = scope
  if (isAbsolute(source)) {
    mount(scope, node.place, source, target, readOnly)
    if (/\/docker\.sock$/.test(source))
      report.advise(
        node.place,
        key,
        "Docker's socket; on a node it is podman's, /run/podman/podman.sock, and root for who has it"
      )
    return
  }
  const folder = folders.bind(node, source)
  mount(scope, node.place, folder.source, target, readOnly)
  report.changed(node.place, key, `${source} is ${folder.source} on the node; ${pushStep(scope, folder)}`)
}

const named = (scope: Scope, node: Node, key: string, { readOnly, source, subpath, target }: Mount) => {
  const { folders, report, top, use } = scope
  const declared = top("volumes", source)
  if (declared === undefined) report.wrong(node.place, key, `there is no volume ${source} below volumes`)
  use("volumes", source)
  const folder = folders.named(source)
  mount(scope, node.place, subpath === undefined ? folder.source : `${folder.source}/${subpath}`, target, readOnly)
  const external = declared && childOf(declared.value, "external")
  const empty =
    external && !isNull(external) ? "copy its data there" : "it starts empty, also where the image has files"
  report.changed(node.place, key, `the volume ${source} is the folder ${folder.source} on the node; ${empty}`)
}

const anonymous = (scope: Scope, node: Node, key: string, target: string, readOnly: boolean) => {
  const { draft, folders, report } = scope
  const folder = folders.named(`${draft.name}${target.replaceAll("/", "-")}`)
  mount(scope, node.place, folder.source, target, readOnly)
  report.changed(node.place, key, `a volume without a name is the folder ${folder.source} on the node, and stays`)
}

const ignored: Readonly<Record<string, string>> = {
  z: "SELinux labels are not set by MCP",
  Z: "SELinux labels are not set by MCP",
  nocopy: "nothing is copied from the image anyway",
  cached: "it says nothing on Linux",
  delegated: "it says nothing on Linux",
  consistent: "it says nothing on Linux"
}

const short = (scope: Scope, node: Node, text: string, key: string) => {
  const { report } = scope
  if (/^[A-Za-z]:(\\|\/[^:]*:\/)/.test(text))
    return report.leftOut(node.place, key, "a path of Windows, which no node has")
  const [first = "", second, options = "", ...rest] = text.split(":")
  if (rest.length > 0 || first === "") return report.wrong(node.place, key, "expected [source:]target[:ro]")
  // `/data:ro` has no source, and `a:b` no options.
  const lone =
    second === undefined || (!second.startsWith("/") && options === "" && isAbsolute(first) && /^(ro|rw)$/.test(second))
  const target = lone ? first : (second ?? "")
  const words = (lone ? (second ?? "") : options).split(",").filter((word) => word !== "")
  if (!isAbsolute(target)) return report.wrong(node.place, key, "the path in the container must be absolute")
  for (const word of words) {
    if (word === "ro" || word === "rw") continue
    report.leftOut(node.place, key, `${word}: ${ignored[word] ?? "only ro and rw can be said of a mount"}`)
  }
  const readOnly = words.includes("ro")
  if (lone) return anonymous(scope, node, key, target, readOnly)
  const how = isPath(first) ? bind : named
  how(scope, node, key, { source: first, target, readOnly })
}

const long = (scope: Scope, node: Node, key: string) => {
  const { report } = scope
  const said: { type?: string; source?: string; target?: string; subpath?: string } = {}
  let readOnly = false
  const text: Handler = ({ key: name, value }, at) => {
    const found = scalar(report, value, at)
    if (found) said[name as keyof typeof said] = found.text
  }
  walk(report, node, key, {
    ...{ type: text, source: text, src: ({ value }, at) => text({ key: "source", place: value.place, value }, at) },
    ...{ target: text, destination: ({ value }, at) => text({ key: "target", place: value.place, value }, at) },
    read_only: ({ value }, at) => {
      readOnly = boolean(report, value, at) ?? false
    },
    bind: ({ value }, at) =>
      walk(report, value, at, {
        propagation: "mounts are private to the container",
        create_host_path: "the agent makes the service's own folders, and asks for others to be there",
        selinux: "SELinux labels are not set by MCP",
        recursive: "a mount brings along what is mounted below it"
      }),
    volume: ({ value }, at) =>
      walk(report, value, at, {
        subpath: text,
        nocopy: "nothing is copied from the image anyway",
        labels: "a folder has no labels"
      }),
    ...{ tmpfs: "there is no tmpfs for components", image: "there are no image mounts" },
    consistency: "it says nothing on Linux"
  })
  const { source, subpath, target, type = source !== undefined && isPath(source) ? "bind" : "volume" } = said
  if (type !== "bind" && type !== "volume")
    return report.leftOut(node.place, key, `a mount of type ${type}: MCP mounts folders and files of the node only`)
  if (target === undefined || !isAbsolute(target))
    return report.wrong(node.place, key, "needs target, an absolute path in the container")
  if (source === undefined || source === "") {
    if (type === "bind") return report.wrong(node.place, key, "a bind needs its source")
    return anonymous(scope, node, key, target, readOnly)
  }
  const how = type === "bind" ? bind : named
  how(scope, node, key, {
    source: type === "bind" && !isPath(source) ? `./${source}` : source,
    target,
    readOnly,
    subpath
  })
}

export const volumes =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    if (value.kind === "map") return expected(scope.report, value, key, "a list")
    eachItem(listOf(value), (item, i) => {
      const at = `${key}[${i}]`
      if (item.kind === "map") return long(scope, item, at)
      const text = scalar(scope.report, item, at, "[source:]target[:ro]")
      if (text) short(scope, item, text.text, at)
    })
  }
