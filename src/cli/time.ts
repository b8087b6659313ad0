import { stampOf, lasting as uptime } from "../domain/lasting.ts"

export { uptime }

/** How long something took: 640ms, 3.2s, 2m19s. */
export const took = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)}ms` : millis < 60_000 ? `${(millis / 1000).toFixed(1)}s` : uptime(millis)

/** A time for people, to the second and in UTC. */
export const stamp = (time: Date): string => stampOf(time.getTime())

/** As `stamp`, without its day. */
export const time = (time: Date): string => stamp(time).slice(11)
