import { Args, HelpDoc, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import { SecretName } from "../../../domain/Secret.ts"
import type { SecretUse } from "../../../gen/mcp/v1/mcp_pb.ts"
import type * as Json from "../../json.ts"
import { locate, nodeFor } from "../../locate.ts"

const isName = Schema.is(SecretName)
// Not repeated: what was typed in the place of a name may be the value.
const refusal = HelpDoc.p('not a secret\'s name: letters, digits, "_", "." and "-", at most 63')

export const secretName = Args.text({ name: "NAME" }).pipe(
  Args.mapEffect((word) => (isName(word) ? Effect.succeed(word) : Effect.fail(refusal))),
  Args.withDescription("the secret's name")
)

export const nodeOption = Options.text("node").pipe(
  Options.withPseudoName("NODE"),
  Options.optional,
  Options.withDescription("the node that is meant, before the service is there")
)

export const placeOf = (service: string, node: Option.Option<string>) =>
  Option.match(node, { onNone: () => locate(service), onSome: (name) => nodeFor(service, name) })

export const usesOf = (uses: ReadonlyArray<SecretUse>): ReadonlyArray<typeof Json.SecretUse.Type> =>
  uses.map(({ component, version }) => ({ component, version: version === 0 ? null : version }))
