import { Either } from "effect"
import { formatDuration } from "../domain/Scalars.ts"
import { build } from "./build.ts"
import { dependsOn, links } from "./dependencies.ts"
import { envFile, environment } from "./environment.ts"
import { healthcheck } from "./health.ts"
import { leftOut } from "./leftOut.ts"
import { configs, secrets } from "./mounted.ts"
import { isNull, type Node } from "./Node.ts"
import { networkMode, networks } from "./networks.ts"
import { expose, ports } from "./ports.ts"
import { cpus, deploy, memory, replicas, restart } from "./resources.ts"
import type { Scope } from "./Scope.ts"
import { volumes } from "./volumes.ts"
import { duration, type Handler, scalar, type Table, texts, walk } from "./walk.ts"
import { splitWords } from "./words.ts"

/** A list as it is; a text as a shell would split it, though none runs it. */
const argv = ({ report }: Scope, node: Node, key: string): ReadonlyArray<string> | undefined => {
  if (isNull(node)) return undefined
  if (node.kind === "seq") return texts(report, node.items, key).map(({ text }) => text)
  const found = scalar(report, node, key, "a text, or a list of texts")
  if (found === undefined) return undefined
  const words = splitWords(found.text)
  if (Either.isLeft(words)) {
    report.wrong(node.place, key, words.left)
    return undefined
  }
  const { shellOnly } = words.right
  if (shellOnly.length > 0)
    report.advise(
      node.place,
      key,
      `${shellOnly.join(" ")} is for a shell, and none reads it; for one write ["sh", "-c", "..."]`
    )
  return words.right.words
}

const command =
  (scope: Scope, name: "cmd" | "entrypoint"): Handler =>
  ({ place, value }, key) => {
    const words = argv(scope, value, key)
    if (words === undefined) return
    if (words.length === 0)
      return scope.report.leftOut(place, key, `empty: the image's own is used; there is no ${name} that is none`)
    scope.draft[name] = words
    scope.from(value.place, name)
  }

const text =
  (scope: Scope, name: "image" | "user"): Handler =>
  ({ value }, key) => {
    const found = scalar(scope.report, value, key)
    if (found === undefined || found.text === "") return
    scope.draft[name] = found.text
    scope.from(value.place, name)
  }

const known: Handler = () => undefined

/** In this order: what is below may depend on what is above. */
const tableOf = (scope: Scope): Table => ({
  image: text(scope, "image"),
  build: build(scope),
  network_mode: networkMode(scope),
  networks: networks(scope),
  ports: ports(scope),
  expose: expose(scope),
  volumes: volumes(scope),
  env_file: envFile(scope),
  environment: environment(scope),
  command: command(scope, "cmd"),
  entrypoint: command(scope, "entrypoint"),
  user: text(scope, "user"),
  healthcheck: healthcheck(scope),
  depends_on: dependsOn(scope),
  links: links(scope),
  secrets: secrets(scope),
  configs: configs(scope),
  deploy: deploy(scope),
  restart: restart(scope),
  mem_limit: memory(scope),
  cpus: cpus(scope),
  stop_grace_period: ({ value }, key) => {
    const millis = duration(scope.report, value, key)
    if (millis !== undefined) scope.draft.stop_timeout = formatDuration(millis)
    scope.from(value.place, "stop_timeout")
  },
  // Which profiles are active was asked before.
  profiles: known,
  ...leftOut,
  scale: replicas(scope),
  labels: ({ place, value }, key) => {
    const words = JSON.stringify(
      value.kind === "map"
        ? [...value.entries.keys()]
        : value.kind === "seq"
          ? value.items.map((item) => (item.kind === "scalar" ? item.text : ""))
          : []
    )
    scope.report.leftOut(
      place,
      key,
      /"(traefik|caddy)\b|VIRTUAL_HOST/.test(words)
        ? "the node's proxy has routes instead: [[components.routes]] with hostname, port and target"
        : "there are no labels of one's own"
    )
  }
})

/** One service of the file, as a component. */
export const readService = (scope: Scope, node: Node) => {
  const { draft, name, path, report } = scope
  if (node.kind !== "map") return report.wrong(node.place, path, "expected a map with image or build")
  walk(report, node, path, tableOf(scope))
  if (draft.image === "") report.wrong(scope.at, path, `needs image or build; what would ${name} run?`)
}
