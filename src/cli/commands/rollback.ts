import { Command, Options } from "@effect/cli"
import { Effect, Either, Option, Ref, Stream } from "effect"
import type { RollbackTarget } from "../../gen/mcp/v1/mcp_pb.ts"
import { Definitions } from "../../services/Definitions.ts"
import type { CliFailure } from "../errors.ts"
import { follow } from "../followDeploy.ts"
import { editImages } from "../imageFile.ts"
import * as Json from "../json.ts"
import { tellIfLeft } from "../leaving.ts"
import { locate } from "../locate.ts"
import { answer, note, warn } from "../output.ts"
import * as Progress from "../progress.ts"
import { renderDeploy } from "../renderDeploy.ts"
import { text } from "../rows.ts"
import { failAll } from "../several.ts"
import * as Target from "../target.ts"

const options = {
  to: Options.text("to").pipe(
    Options.withPseudoName("DEPLOYMENT"),
    Options.optional,
    Options.withDescription("an earlier one of mcp history; else the revision before")
  ),
  noWait: Options.boolean("no-wait").pipe(Options.withDescription("do not wait until all is ready")),
  wait: Options.boolean("wait").pipe(Options.withDescription("wait while another act on the service is under way"))
}

const PINNED =
  "the definition still describes the version that was rolled back from: mcp deploy --all and mcp sync skip it until it changes, or with --force"

/** Where only images differ the definition follows; the file, if it was changed. */
const letFollow = (service: string, target: RollbackTarget | undefined, state: Json.DeployService["state"]) =>
  Effect.gen(function* () {
    if (state !== "succeeded" && state !== "starting") return null
    if (target?.onlyImages !== true) yield* note(PINNED)
    const definitions = yield* Definitions
    const found = yield* definitions.find(service)
    if (Option.isNone(found)) {
      yield* warn(
        `there is no definition ${definitions.dir}/${service}.toml to follow: whoever has it deploys it as it is`
      )
      return null
    }
    if (target?.onlyImages !== true) return null
    if (state === "succeeded") return yield* editImages(found.value, target.images)
    yield* note(`${found.value.file} is as it was: set its image lines once the rollback has succeeded`)
    return null
  })

export const rollback = Command.make(
  "rollback",
  { service: Target.service, ...options },
  Effect.fn("cli.rollback")(function* ({ noWait, service, to, wait }) {
    const node = yield* locate(service)
    const seen = yield* Ref.make<RollbackTarget | undefined>(undefined)
    const request = { service, to: Option.getOrElse(to, () => ""), noWait, waitForLock: wait }
    const { failure, view } = yield* Effect.scoped(
      Effect.gen(function* () {
        const progress = yield* Progress.make(false)
        return yield* follow(
          {
            service,
            node,
            before: "the version before",
            waits: wait,
            call: (client, options) =>
              client.rollbackService(request, options).pipe(
                Stream.tap(({ target }) => (target === undefined ? Effect.void : Ref.set(seen, target))),
                Stream.filterMap(({ progress }) => Option.fromNullable(progress))
              )
          },
          progress
        )
      })
    ).pipe(tellIfLeft("rollback", [{ service, node }]))
    const target = yield* Ref.get(seen)
    for (const warning of new Set(view.warnings)) yield* warn(warning)
    const followed = yield* Effect.either(letFollow(service, target, view.state))
    const back = target === undefined ? "" : ` to ${target.deployment}`
    const value: Json.Rollback = {
      ...view,
      to: text(target?.deployment ?? ""),
      only_images: target?.onlyImages ?? false,
      images: (target?.images ?? []).map(({ component, from, to }) => ({ component, from, to })),
      edited_file: Either.getOrElse(followed, () => null)
    }
    yield* answer(Json.Rollback, value, (look) =>
      renderDeploy([view], look, {
        done: (where) => `rolled ${where} back${back}`,
        started: (where) => `started to roll ${where} back${back}`,
        idle: `nothing to do, it is as it was${back === "" ? "" : ` in ${target?.deployment}`}`
      })
    )
    yield* failAll<CliFailure>([
      ...(failure === undefined ? [] : [failure]),
      ...(Either.isLeft(followed) ? [followed.left] : [])
    ])
  })
).pipe(Command.withDescription("Bring a service back to an earlier revision, whole"))
