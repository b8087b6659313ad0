import { Effect, Either, Option } from "effect"
import { nearest } from "../domain/nearest.ts"
import { parse } from "../domain/Toml.ts"
import type { NodeConfig } from "../services/Agents.ts"
import { NodeAmbiguous, NodeUnknown, ServiceUnknown } from "../services/CliError.ts"
import { Definitions } from "../services/Definitions.ts"
import { allNodes, askAll, reading } from "./nodes.ts"

const named = (nodes: ReadonlyArray<NodeConfig>, name: string) => nodes.find((node) => node.name === name)

/** Where a definition is to be deployed: its own node, else the only one there is. */
export const nodeFor = (service: string, wanted: string | undefined) =>
  Effect.gen(function* () {
    const nodes = yield* allNodes
    const words = nodes.map((node) => node.name)
    if (wanted !== undefined) {
      const node = named(nodes, wanted)
      return node ?? (yield* new NodeUnknown({ service, node: wanted, nearest: nearest(wanted, words) }))
    }
    const [only, ...others] = nodes
    return only !== undefined && others.length === 0 ? only : yield* new NodeAmbiguous({ service, nodes: words })
  })

// Its TOML only: a definition with mistakes must not keep anybody from stopping the service.
const definedNode = (service: string) =>
  Effect.gen(function* () {
    const found = yield* (yield* Definitions).find(service)
    if (Option.isNone(found)) return undefined
    const document = parse(found.value.file, found.value.text)
    const node = Either.isRight(document) ? document.right.value.node : undefined
    return typeof node === "string" ? node : undefined
  }).pipe(Effect.catchTag("DefinitionsUnreadable", () => Effect.succeed(undefined)))

const definedNames = Effect.flatMap(Definitions, (definitions) => definitions.all).pipe(
  Effect.map((all) => all.map((definition) => definition.service)),
  Effect.orElseSucceed((): ReadonlyArray<string> => [])
)

/** The node that has a service: by its definition, else the only one, else whichever says so. */
export const locate = (service: string) =>
  Effect.gen(function* () {
    const nodes = yield* allNodes
    const defined = yield* definedNode(service)
    const node = defined === undefined ? undefined : named(nodes, defined)
    if (node !== undefined) return node
    const [only] = nodes
    if (only !== undefined && nodes.length === 1) return only
    const options = yield* reading
    const { answered, silent } = yield* askAll(nodes, (client) => client.listServices({}, options))
    const having = answered.filter(({ value }) => value.services.some((s) => s.name === service))
    const [first, ...others] = having
    if (first !== undefined && others.length === 0) return first.node
    if (first !== undefined) return yield* new NodeAmbiguous({ service, nodes: having.map((h) => h.node.name) })
    const known = [...answered.flatMap(({ value }) => value.services.map((s) => s.name)), ...(yield* definedNames)]
    return yield* new ServiceUnknown({
      service,
      nearest: nearest(service, known),
      unasked: silent.map((s) => s.node.name)
    })
  })
