import { readFileSync } from "node:fs"
import { userInfo } from "node:os"
import { Clock, Console, Effect, Either, Exit, Option, Schema } from "effect"
import type { AgentConfig } from "../domain/AgentConfig.ts"
import { parseDefinition } from "../domain/Definition.ts"
import type { ServiceSpec } from "../domain/Spec.ts"
import { formatProblem } from "../domain/Toml.ts"
import type { BroughtBack, Fate } from "../programs/bringBack.ts"
import type { DeployEvent, DeployFailure } from "../programs/DeployEvent.ts"
import { deploy } from "../programs/deploy.ts"
import { explain, type ProgramError } from "../programs/explain.ts"
import { Told } from "../programs/main.ts"
import { recoverNode } from "../programs/recoverNode.ts"

/** All that acts by hand need; no identity server, since whoever runs them is on the node. */
export type OnThisNode =
  | Effect.Effect.Context<ReturnType<typeof deploy>>
  | Effect.Effect.Context<ReturnType<typeof recoverNode>>

export class AgentRuns extends Schema.TaggedError<AgentRuns>()("AgentRuns", { pid: Schema.optional(Schema.Number) }) {
  override get message() {
    const who = this.pid === undefined ? "" : ` (pid ${this.pid})`
    return `an agent${who} runs on this node and holds its registry\n  next: use mcp; or stop the agent first: systemctl stop mcp-agent`
  }
}

const actor = Effect.sync(() => `local:${userInfo().username}`)

/** One line at info for each act, as for each RPC. */
const audited = <E, R>(method: string, service: string, act: Effect.Effect<void, E, R>) =>
  Effect.gen(function* () {
    const startedAt = yield* Clock.currentTimeMillis
    const caller = yield* actor
    return yield* Effect.onExit(act, (exit) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.logInfo("by hand").pipe(
          Effect.annotateLogs({
            ...{ method, caller, account_type: "local", service, code: Exit.isSuccess(exit) ? "OK" : "FAILED" },
            duration_ms: now - startedAt
          })
        )
      )
    )
  })

/** Text from elsewhere must not steer the terminal. */
const tame = (text: string) => text.replace(/[^\P{Cc}\n\t]/gu, "?")

const fail = (what: string, nextStep: string, code: number) =>
  Effect.zipRight(Console.error(tame(`mcp-agent: ${what}\n  next: ${nextStep}`)), Effect.fail(new Told(code)))

/** What is wrong with the definition itself: nothing was done. */
const usage: ReadonlySet<ProgramError["_tag"]> = new Set(["SpecInvalid", "ComponentNotFound"])

const told = (error: ProgramError) => fail(error.message, explain(error).nextStep, usage.has(error._tag) ? 2 : 1)

/** What is not over is taken up by whoever comes next. */
const resumable = <E, R>(act: Effect.Effect<void, E, R>) =>
  Effect.onInterrupt(act, () =>
    Console.error(
      "mcp-agent: interrupted\n  next: mcp-agent recover, or start the agent: what is half done is ended then"
    )
  )

const explained = <R>(act: Effect.Effect<void, ProgramError | Told, R>) =>
  Effect.catchAll(act, (error) => (error instanceof Told ? Effect.fail(error) : told(error)))

const words: Record<Fate, string> = {
  runs: "runs",
  rests: "rests",
  stopped: "stopped, as it should be",
  waits: "waits",
  started: "started again",
  made: "made again",
  unready: "started, not ready",
  failed: "failed"
}

const line = ({ component, fate, nextStep, service, why }: BroughtBack) =>
  [
    `${service}${component === "" ? "" : `/${component}`}: ${words[fate]}${why === "" ? "" : `; ${why}`}`,
    ...(nextStep === "" ? [] : [`  next: ${nextStep}`])
  ].join("\n")

/** `mcp-agent recover`. */
export const recoverByHand = (config: AgentConfig) =>
  audited(
    "recover",
    "",
    resumable(
      explained(
        Effect.gen(function* () {
          let components = 0
          const good = yield* recoverNode(config.boot.sequence, yield* actor, (done) => {
            components += done.length
            return Console.log(tame(done.map(line).join("\n")))
          })
          if (components === 0) yield* Console.log("nothing is deployed on this node")
          if (!good) return yield* fail("not all that should run does", "see above, then: mcp-agent recover", 1)
        })
      )
    )
  )

const stepLine = (event: DeployEvent): string | undefined => {
  switch (event._tag) {
    case "Started":
      return event.plan.map(({ action, component, why }) => `${component}: ${action}, ${why}`).join("\n")
    case "Step": {
      const where = event.component === "" ? "" : `${event.component}: `
      if (event.state === "running") return event.step === "pull" ? `${where}pull` : undefined
      const how = event.state === "done" ? `done in ${event.durationMs} ms` : `${event.state}: ${event.message}`
      return `${where}${event.step} ${how}`
    }
    case "Warning":
      return `${event.component === "" ? "" : `${event.component}: `}warning: ${event.message}`
    case "Pull":
    case "Result":
      return undefined
  }
}

const failedWith = (service: string, failure: DeployFailure | undefined) =>
  Effect.gen(function* () {
    for (const text of failure?.lastLogs ?? []) yield* Console.error(tame(`  | ${text}`))
    const what = failure === undefined ? "it did not come up" : failure.message
    return yield* fail(`${service} is as it was: ${what}`, failure?.nextStep ?? "see the lines above", 1)
  })

/** Read before the registry and podman are touched. */
export const definitionIn = (file: string) =>
  Effect.gen(function* () {
    const text = yield* Effect.try(() => readFileSync(file, "utf8")).pipe(
      Effect.catchAll(() => fail(`cannot read ${file}`, "name a service's definition, a TOML file", 2))
    )
    const parsed = parseDefinition({ file, text })
    if (Either.isRight(parsed)) return parsed.right.spec
    yield* Console.error(tame(parsed.left.map(formatProblem).join("\n")))
    return yield* fail("the definition is not right; nothing was done", `correct ${file}`, 2)
  })

/** `mcp-agent deploy FILE`, the break-glass: the same validation and the same deployment as an operator's. */
export const deployByHand = (spec: ServiceSpec) =>
  Effect.gen(function* () {
    const request = {
      ...{ spec, components: [], force: false, pull: false, noWait: false, wait: false, respectPin: false },
      actor: yield* actor
    }
    const act = Effect.gen(function* () {
      const result = yield* deploy(request, (event) =>
        Option.match(Option.fromNullable(stepLine(event)), {
          onNone: () => Effect.void,
          onSome: (text) => Console.log(tame(text))
        })
      )
      if (result.state !== "succeeded") return yield* failedWith(spec.name, result.failure)
      const idle = result.components.every(({ action }) => action === "unchanged" || action === "orphan")
      yield* Console.log(
        idle ? `${spec.name}: nothing to do, all is as defined` : `deployed ${spec.name} in ${result.durationMs} ms`
      )
    })
    yield* audited("deploy", spec.name, resumable(explained(act)))
  })
