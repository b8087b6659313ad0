import { Args, Command } from "@effect/cli"
import { Effect } from "effect"
import * as Json from "../../json.ts"
import { locate } from "../../locate.ts"
import { acting, ask, ofService } from "../../nodes.ts"
import { confirm } from "../../output.ts"
import * as Target from "../../target.ts"
import { consent, described, pick, snapshotsOf, yes } from "./words.ts"

const word = Args.text({ name: "snapshot" }).pipe(Args.withDescription("its id, or how that begins"))

export const rm = Command.make(
  "rm",
  { service: Target.service, snapshot: word, yes },
  Effect.fn("cli.snapshot.rm")(function* ({ service, snapshot: word, yes }) {
    const options = yield* acting
    const node = yield* locate(service)
    const { id, ...found } = yield* pick(yield* snapshotsOf(node, service), service, word)
    const question = `Remove the snapshot ${yield* described({ id, ...found })} of ${service} on ${node.name}?`
    if (!yes) yield* consent(question, "snapshot rm", `${service} ${word}`)
    yield* ask(node, (client) => client.removeSnapshot({ service, snapshot: id }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    yield* confirm(Json.SnapshotRemoved, { service, id, node: node.name }, () => [
      `removed the snapshot ${id} of ${service} on ${node.name}`
    ])
  })
).pipe(Command.withDescription("Remove a snapshot of a service's data from its node"))
