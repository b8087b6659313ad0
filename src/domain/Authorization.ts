import { Schema } from "effect"

/** What a caller may be allowed to do. `admin` includes nothing else by itself. */
export const Verb = Schema.Literal("read", "operate", "deploy", "files", "admin")
export type Verb = typeof Verb.Type

export interface Rule {
  /** `role:<role>` or `account:<username>` */
  readonly principals: ReadonlyArray<string>
  readonly verbs: ReadonlyArray<Verb>
  /** Service names, or `*` for all. */
  readonly services: ReadonlyArray<string>
}

export interface Principal {
  readonly username: string
  readonly accountType: "human" | "system"
  readonly roles: ReadonlyArray<string>
}

export interface Policy {
  /** When present, only these system accounts may call. */
  readonly serviceAccounts: ReadonlyArray<string> | undefined
  /** When present, what is not granted is refused. */
  readonly rules: ReadonlyArray<Rule> | undefined
}

/** Why an account may not call at all; undefined when it may. */
export const refusal = (policy: Policy, who: Principal): string | undefined => {
  if (who.roles.includes("guest")) return "the role guest may do nothing here"
  if (who.accountType === "system" && policy.serviceAccounts && !policy.serviceAccounts.includes(who.username)) {
    return `the system account ${who.username} is not among [auth] service_accounts`
  }
  return undefined
}

const granting = (policy: Policy, who: Principal, verb: Verb) =>
  (policy.rules ?? []).filter(
    (rule) =>
      rule.verbs.includes(verb) &&
      rule.principals.some(
        (principal) => principal === `account:${who.username}` || who.roles.some((role) => principal === `role:${role}`)
      )
  )

/** Whether the verb is granted on the service; without a service: on any. */
export const allows = (policy: Policy, who: Principal, verb: Verb, service?: string): boolean =>
  policy.rules === undefined ||
  granting(policy, who, verb).some(
    (rule) => service === undefined || rule.services.includes("*") || rule.services.includes(service)
  )

/** Whether the verb is granted only on named services: then the node's own resources are out of reach too. */
export const narrowed = (policy: Policy, who: Principal, verb: Verb): boolean =>
  policy.rules !== undefined && !granting(policy, who, verb).some((rule) => rule.services.includes("*"))
