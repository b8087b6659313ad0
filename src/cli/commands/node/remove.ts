import { Command } from "@effect/cli"
import { Effect, Either } from "effect"
import { nearest } from "../../../domain/nearest.ts"
import { withoutNode } from "../../../domain/nodeTables.ts"
import { parse } from "../../../domain/Toml.ts"
import { ConfigNotSaved, UsageError } from "../../../services/CliError.ts"
import { ConfigFile } from "../../../services/ConfigFile.ts"
import { Definitions } from "../../../services/Definitions.ts"
import * as Json from "../../json.ts"
import { confirm, warn } from "../../output.ts"
import { Settings } from "../../Settings.ts"
import { nodeName } from "./name.ts"

/** Definitions that name the node, also broken ones. */
const namedBy = (node: string) =>
  Effect.map(
    Effect.flatMap(Definitions, ({ all }) => all),
    (files) =>
      files
        .filter(({ file, text }) =>
          Either.match(parse(file, text), { onLeft: () => false, onRight: ({ value }) => value.node === node })
        )
        .map(({ service }) => service)
  )

export const remove = Command.make(
  "remove",
  { name: nodeName },
  Effect.fn("cli.node.remove")(function* ({ name }) {
    const config = yield* ConfigFile
    const { nodes } = yield* Settings
    const text = yield* Either.mapLeft(
      withoutNode(config.file, yield* config.read, name),
      (why) => new ConfigNotSaved({ path: config.file, why })
    )
    const removed = text !== undefined
    const near = nearest(
      name,
      nodes.map((node) => node.name)
    )
    // Said twice is no mistake, but a slip of the finger is.
    if (!removed && near !== undefined) {
      return yield* new UsageError({ problem: `the config has no node ${name}; did you mean ${near}?` })
    }
    if (removed) yield* config.save(text)
    const named_by = yield* namedBy(name)
    if (named_by.length > 0) yield* warn(`node = "${name}" still stands in the definition of ${named_by.join(", ")}`)
    yield* confirm(Json.NodeRemoved, { node: name, removed, config_file: config.file, named_by }, () => [
      removed ? `removed ${name} from ${config.file}; what runs there goes on` : `the config has no node ${name}`
    ])
  })
).pipe(Command.withDescription("Take a node out of the config; what runs there goes on"))
