/** So many refused logins… */
export const FAILURES = 10
/** …within this time since the first of them… */
export const WINDOW_MS = 15 * 60_000
/** …lock an account for this long. Refusals meanwhile are not counted, or anybody could keep it locked for ever. */
export const LOCK_MS = 15 * 60_000
