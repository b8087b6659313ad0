import { type Duration, Effect, Redacted, Ref } from "effect"
import { allows, type Policy, refusal } from "../domain/Authorization.ts"
import { type CallInfo, onOutcome } from "../grpc/CallInfo.ts"
import type { Interceptor } from "../grpc/server.ts"
import { Code, codeName, RpcError } from "../grpc/status.ts"
import { Identity } from "../services/Identity.ts"
import { TokenMissing } from "../services/IdentityError.ts"
import { AgentState } from "./AgentState.ts"
import { accessOf } from "./access.ts"
import { CallerContext } from "./CallerContext.ts"
import { identityToRpcError } from "./errors.ts"

/** Open calls are checked again this often, and ended when the token no longer counts. */
const recheckDefault = "30 seconds"

const tokenOf = (call: CallInfo): Effect.Effect<Redacted.Redacted, RpcError> => {
  const match = /^Bearer ([\x21-\x7e]+)$/i.exec(call.metadata.get("authorization") ?? "")
  return match?.[1] === undefined ? identityToRpcError(new TokenMissing()) : Effect.succeed(Redacted.make(match[1]))
}

const anonymous = { username: "", accountType: "" }

type KnownCaller = Ref.Ref<{ readonly username: string; readonly accountType: string }>

/** One audit line for each RPC, refused ones too. */
const audited = <R>(effect: Effect.Effect<void, RpcError, R>, call: CallInfo, caller: KnownCaller) =>
  onOutcome(effect, call, (outcome) =>
    Effect.flatMap(Ref.get(caller), (who) =>
      Effect.logInfo("rpc").pipe(
        Effect.annotateLogs({
          method: call.method,
          caller: who.username,
          account_type: who.accountType,
          peer: call.peer,
          ...call.annotations,
          code: codeName(outcome.code),
          reason: outcome.reason,
          duration_ms: outcome.durationMs,
          request_id: call.requestId
        })
      )
    )
  )

/** Authentication, the node's rules and the audit line, ahead of every handler. */
export const make = (policy: Policy, recheckEvery: Duration.DurationInput = recheckDefault) =>
  Effect.gen(function* () {
    const identity = yield* Identity
    const state = yield* AgentState

    const authenticate = (call: CallInfo, token: Redacted.Redacted) =>
      Effect.gen(function* () {
        const caller = yield* Effect.mapError(identity.validate(token, call.peer), identityToRpcError)
        const refused = refusal(policy, caller)
        if (refused === undefined) return caller
        return yield* new RpcError({
          code: Code.PERMISSION_DENIED,
          reason: "ACCOUNT_REFUSED",
          detail: `${caller.username}: ${refused}`,
          nextStep: "log in with another account: mcp login"
        })
      })

    const interceptor: Interceptor<CallerContext, never> = (call, run) =>
      Effect.gen(function* () {
        const known = yield* Ref.make<{ readonly username: string; readonly accountType: string }>(anonymous)
        const access = accessOf(call.method)
        const guarded = Effect.gen(function* () {
          if (access?.verb === "open") {
            const nobody = { username: "", accountType: "human" as const, roles: [] }
            return yield* Effect.provideService(run, CallerContext, { who: nobody, policy, verb: "read" })
          }
          const token = yield* tokenOf(call)
          const caller = yield* authenticate(call, token)
          yield* Ref.set(known, caller)
          const verb = access?.verb ?? "admin"
          if (!allows(policy, caller, verb)) {
            return yield* new RpcError({
              code: Code.PERMISSION_DENIED,
              reason: "PERMISSION_DENIED",
              detail: `${caller.username} lacks the verb ${verb}`,
              nextStep: "ask for a rule in [[auth.rules]] of the agent's config"
            })
          }
          if (access?.booting === false && (yield* state.get) === "booting") {
            return yield* new RpcError({
              code: Code.FAILED_PRECONDITION,
              reason: "BOOTING",
              detail: "the agent is still starting",
              nextStep: "try again in a moment; the agent's log says what it waits for"
            })
          }
          const stillAllowed = authenticate(call, token).pipe(
            // Only a refusal ends an open call: while nobody can be asked, what was allowed goes on.
            Effect.catchIf(
              (error) => error.code === Code.UNAVAILABLE || error.code === Code.RESOURCE_EXHAUSTED,
              () => Effect.void
            ),
            Effect.delay(recheckEvery),
            Effect.forever
          )
          return yield* Effect.raceFirst(
            Effect.provideService(run, CallerContext, { who: caller, policy, verb }),
            stillAllowed
          )
        })
        return yield* audited(guarded, call, known)
      })
    return interceptor
  })
