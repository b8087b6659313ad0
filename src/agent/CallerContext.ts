import { Context, Effect } from "effect"
import { allows, narrowed, type Policy, type Principal, type Verb } from "../domain/Authorization.ts"
import { annotateCall } from "../grpc/CallInfo.ts"
import { Code, RpcError } from "../grpc/status.ts"

/** Who makes the call under way, and what the node's rules say of them. */
export class CallerContext extends Context.Tag("mcp/CallerContext")<
  CallerContext,
  { readonly who: Principal; readonly policy: Policy; readonly verb: Verb }
>() {}

const denied = (username: string, verb: Verb, service: string, what: string) =>
  new RpcError({
    code: Code.PERMISSION_DENIED,
    reason: "PERMISSION_DENIED",
    detail: `${username} lacks the verb ${verb} on ${service}${what}`,
    service,
    nextStep: "ask for a rule in [[auth.rules]] of the agent's config"
  })

/** Notes the call's subject for the audit line, and refuses it when no rule grants it. */
export const authorize = (service: string, component = ""): Effect.Effect<void, RpcError, CallerContext> =>
  Effect.gen(function* () {
    yield* annotateCall({ service, ...(component === "" ? {} : { component }) })
    const { policy, verb, who } = yield* CallerContext
    if (!allows(policy, who, verb, service)) return yield* denied(who.username, verb, service, "")
  })

/** For what reaches beyond the service's own folder and bridge: a caller narrowed to services needs `admin`. */
export const authorizeBeyond = (service: string, reaches: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { policy, verb, who } = yield* CallerContext
    if (reaches.length === 0 || !narrowed(policy, who, verb) || allows(policy, who, "admin", service)) return
    return yield* denied(who.username, "admin", service, `, which ${reaches.join(", ")} needs`)
  })

/** The services that the caller may see. */
export const visible = Effect.map(
  CallerContext,
  ({ policy, verb, who }) =>
    (service: string) =>
      allows(policy, who, verb, service)
)
