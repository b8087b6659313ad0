import { Command, Options } from "@effect/cli"
import { Effect } from "effect"
import { Declined, UsageError } from "../../services/CliError.ts"
import { editActive } from "../activeFile.ts"
import * as Json from "../json.ts"
import { locate } from "../locate.ts"
import { acting, ask, ofService } from "../nodes.ts"
import { confirm } from "../output.ts"
import { Screen } from "../Screen.ts"
import * as Target from "../target.ts"

const yes = Options.boolean("yes").pipe(Options.withAlias("y"), Options.withDescription("do not ask"))

const consent = (service: string, node: string) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.canAsk) {
      return yield* new UsageError({
        problem: "undeploy asks first, and nobody is there to answer",
        nextStep: `mcp undeploy ${service} --yes`
      })
    }
    const said = yield* screen.ask(`Undeploy ${service} on ${node}? Its containers are removed, its data stays. [y/N] `)
    if (!/^y(es)?$/i.test(said.trim())) yield* new Declined()
  })

export const undeploy = Command.make(
  "undeploy",
  { service: Target.service, yes },
  Effect.fn("cli.undeploy")(function* ({ service, yes }) {
    const options = yield* acting
    const node = yield* locate(service)
    if (!yes) yield* consent(service, node.name)
    const { removed } = yield* ask(node, (client) => client.undeployService({ service }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const edited_file = yield* editActive(service, false)
    yield* confirm(Json.Undeployed, { service, node: node.name, removed, edited_file }, () => [
      removed.length === 0
        ? `${service} on ${node.name}: nothing was left to remove`
        : `undeployed ${service} on ${node.name}: removed ${removed.join(", ")}`
    ])
  })
).pipe(Command.withDescription("Remove a service's containers; its data stays"))
