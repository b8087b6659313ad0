import { Duration } from "effect"
import type { Account } from "./Account.ts"

const SYSTEM = Duration.days(365)
const ADMIN = Duration.hours(8)
const PERSON = Duration.days(30)

/** No token lives longer. */
export const LONGEST = SYSTEM

export const lifetimeOf = (account: Pick<Account, "kind" | "roles">): Duration.Duration => {
  if (account.kind === "system") return SYSTEM
  return account.roles.includes("admin") ? ADMIN : PERSON
}
