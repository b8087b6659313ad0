import { timestampDate } from "@bufbuild/protobuf/wkt"
import { Command } from "@effect/cli"
import { Effect } from "effect"
import * as Json from "../../json.ts"
import { ask, ofService, reading } from "../../nodes.ts"
import { answer, type Look } from "../../output.ts"
import { table } from "../../table.ts"
import * as Target from "../../target.ts"
import { stamp } from "../../time.ts"
import { nodeOption, placeOf, usesOf } from "./words.ts"

const used = ({ used_by, version }: Json.Secret) =>
  used_by
    .map((use) => {
      if (use.version === version && version !== null) return use.component
      return `${use.component} (${use.version === null ? "has none" : `has version ${use.version}`})`
    })
    .join(", ")

const render = ({ secrets }: typeof Json.Secrets.Type, look: Look) =>
  table(
    ["NAME", "VERSION", "SET AT", "SET BY", "USED BY"],
    secrets.map((secret) => [
      secret.name,
      secret.version === null ? { text: "not set", style: "red" as const } : String(secret.version),
      secret.set_at === null ? "" : stamp(secret.set_at),
      secret.set_by ?? "",
      used(secret)
    ]),
    look
  )

export const list = Command.make(
  "list",
  { service: Target.service, node: nodeOption },
  Effect.fn("cli.secret.list")(function* ({ node, service }) {
    const options = yield* reading
    const at = yield* placeOf(service, node)
    const found = yield* ask(at, (client) => client.listSecrets({ service }, options)).pipe(
      Effect.mapError(ofService(service))
    )
    const secrets = found.secrets.map(
      ({ actor, name, setAt, uses, version }): Json.Secret => ({
        name,
        version: version === 0 ? null : version,
        set_at: setAt === undefined ? null : timestampDate(setAt),
        set_by: actor === "" ? null : actor,
        used_by: usesOf(uses)
      })
    )
    const value = { service, node: at.name, secrets }
    yield* answer(Json.Secrets, value, (look) =>
      secrets.length === 0 ? [`${service} on ${at.name} has no secrets`] : render(value, look)
    )
  })
).pipe(Command.withDescription("A service's secrets: names, versions and who uses them"))
