import { Command, Options } from "@effect/cli"
import { Effect } from "effect"
import { Declined, UsageError } from "../../../services/CliError.ts"
import * as Json from "../../json.ts"
import { acting, ask, ofService } from "../../nodes.ts"
import { confirm } from "../../output.ts"
import { Screen } from "../../Screen.ts"
import * as Target from "../../target.ts"
import { nodeOption, placeOf, secretName } from "./words.ts"

const yes = Options.boolean("yes").pipe(Options.withAlias("y"), Options.withDescription("do not ask"))

const consent = (service: string, name: string) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.canAsk) {
      return yield* new UsageError({
        problem: "secret rm asks first, and nobody is there to answer",
        nextStep: `mcp secret rm ${service} ${name} --yes`
      })
    }
    const said = yield* screen.ask(`Remove secret ${name} of ${service}, all its versions? [y/N] `)
    if (!/^y(es)?$/i.test(said.trim())) yield* new Declined()
  })

export const rm = Command.make(
  "rm",
  { service: Target.service, name: secretName, yes, node: nodeOption },
  Effect.fn("cli.secret.rm")(function* ({ name, node, service, yes }) {
    const options = yield* acting
    const at = yield* placeOf(service, node)
    if (!yes) yield* consent(service, name)
    yield* ask(at, (client) => client.removeSecret({ service, name }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    yield* confirm(Json.SecretRemoved, { service, name, node: at.name }, () => [
      `secret ${name} of ${service} on ${at.name} is removed, all its versions`
    ])
  })
).pipe(Command.withDescription("Remove a secret that nothing deployed needs"))
