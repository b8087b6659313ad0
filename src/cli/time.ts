const units = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1]
] as const

/** At most two units, the second only when it is not zero: 2d16h, 2m19s, 12s. */
export const uptime = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  const first = units.findIndex(([, size]) => seconds >= size)
  const [unit, size] = units[first] ?? ["s", 1]
  const [nextUnit, nextSize] = units[first + 1] ?? ["", 0]
  const rest = nextSize === 0 ? 0 : Math.floor((seconds % size) / nextSize)
  return `${Math.floor(seconds / size)}${unit}${rest > 0 ? `${rest}${nextUnit}` : ""}`
}

/** How long something took: 640ms, 3.2s, 2m19s. */
export const took = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)}ms` : millis < 60_000 ? `${(millis / 1000).toFixed(1)}s` : uptime(millis)

/** A time for people, to the second and in UTC. */
export const stamp = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`
