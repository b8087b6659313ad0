import { Args, Command, Options } from "@effect/cli"
import { Effect } from "effect"
import { Declined, UsageError } from "../../../services/CliError.ts"
import { quoted } from "../../errors.ts"
import * as Json from "../../json.ts"
import { locate } from "../../locate.ts"
import { acting, ask, ofService } from "../../nodes.ts"
import { confirm } from "../../output.ts"
import { Screen } from "../../Screen.ts"
import * as Target from "../../target.ts"
import { pathBytes, recursive } from "../../transfer.ts"

const path = Args.text({ name: "path" }).pipe(Args.withDescription("a path below the service's own folder"))
const tree = recursive.pipe(Options.withDescription("a folder with all that lies in it"))
const yes = Options.boolean("yes").pipe(Options.withAlias("y"), Options.withDescription("do not ask"))

const consent = (service: string, path: string, node: string, tree: boolean) =>
  Effect.gen(function* () {
    const screen = yield* Screen
    if (!screen.canAsk) {
      return yield* new UsageError({
        problem: "files rm asks first, and nobody is there to answer",
        nextStep: `mcp files rm ${service} ${quoted(path)}${tree ? " -r" : ""} --yes`
      })
    }
    const what = tree ? `${path} and all that lies in it` : path
    const said = yield* screen.ask(`Remove ${what} of ${service} on ${node}? [y/N] `)
    if (!/^y(es)?$/i.test(said.trim())) yield* new Declined()
  })

export const remove = Command.make(
  "rm",
  { service: Target.service, path, tree, yes },
  Effect.fn("cli.files.rm")(function* ({ path, service, tree, yes }) {
    const options = yield* acting
    const node = yield* locate(service)
    if (!yes) yield* consent(service, path, node.name, tree)
    const request = { service, path: pathBytes(path), recursive: tree }
    const done = yield* ask(node, (client) => client.removePath(request, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const removed = Number(done.removed)
    yield* confirm(Json.PathRemoved, { service, node: node.name, path, removed }, () => [
      `removed ${path} of ${service} on ${node.name}${removed === 1 ? "" : `: ${removed} files, folders and links`}`
    ])
  })
).pipe(Command.withDescription("Remove a file, a link or a folder"))
