import { Args, Command, Options } from "@effect/cli"
import { Effect, Either, Option, Redacted } from "effect"
import { parseDefinition } from "../../../domain/Definition.ts"
import { UsageError } from "../../../services/CliError.ts"
import { Definitions } from "../../../services/Definitions.ts"
import * as Json from "../../json.ts"
import { acting, ask, ofService } from "../../nodes.ts"
import { confirm } from "../../output.ts"
import * as Target from "../../target.ts"
import { valueFrom } from "./value.ts"
import { nodeOption, placeOf, secretName, usesOf } from "./words.ts"

const file = Options.text("file").pipe(
  Options.withAlias("f"),
  Options.withPseudoName("FILE"),
  Options.optional,
  Options.withDescription("a file with the value; else the terminal, or the input")
)
const trim = Options.boolean("trim").pipe(Options.withDescription("without a newline at the value's end"))

/** The secrets that the definition names; none where there is no valid one. */
const defined = (service: string) =>
  Effect.gen(function* () {
    const found = yield* Effect.orElseSucceed((yield* Definitions).find(service), Option.none)
    return Option.match(found, {
      onNone: () => [],
      onSome: (at) =>
        Either.match(parseDefinition({ ...at, expectedName: service }), {
          onLeft: () => [],
          onRight: ({ spec }) => [...new Set(spec.components.flatMap(({ secrets }) => secrets))]
        })
    })
  })

/** The one secret that is meant when none is named. */
const onlyOne = (service: string, names: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const [only, ...others] = names
    if (only !== undefined && others.length === 0) return only
    return yield* new UsageError({
      problem: names.length === 0 ? "say which secret" : `say which secret: ${names.join(", ")}`,
      nextStep: `mcp secret set ${service} ${only ?? "NAME"}`
    })
  })

const told = (
  { changed, name, node, service, used_by, version }: typeof Json.SecretSet.Type,
  names: ReadonlyArray<string>
) => {
  const state = changed ? `is set (version ${version})` : `has this value already (version ${version})`
  const said = `secret ${name} of ${service} on ${node} ${state}`
  const behind = used_by.filter((use) => use.version !== version).map(({ component }) => component)
  if (used_by.length === 0 && names.includes(name)) return [said, `next: mcp deploy ${service}`]
  if (used_by.length === 0)
    return [said, `next: secrets = ["${name}"] in a component of its definition, then mcp deploy ${service}`]
  if (behind.length === 0) return [said]
  return [said, `next: mcp deploy ${service} brings it to ${behind.join(", ")}`]
}

export const set = Command.make(
  "set",
  { service: Target.service, name: Args.optional(secretName), file, trim, node: nodeOption },
  Effect.fn("cli.secret.set")(function* ({ file, name, node, service, trim }) {
    const names = yield* defined(service)
    const secret = Option.getOrUndefined(name) ?? (yield* onlyOne(service, names))
    const options = yield* acting
    const at = yield* placeOf(service, node)
    const value = Redacted.value(yield* valueFrom({ service, secret, file, trim }))
    const done = yield* ask(at, (client) => client.setSecret({ service, name: secret, value }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const { changed, uses, version } = done
    const answer = { service, name: secret, node: at.name, version, changed, used_by: usesOf(uses) }
    yield* confirm(Json.SecretSet, answer, () => told(answer, names))
  })
).pipe(Command.withDescription("Set a secret from the terminal, a file or the input"))
