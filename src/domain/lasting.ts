const units = [
  ["d", 86_400],
  ["h", 3_600],
  ["m", 60],
  ["s", 1]
] as const

/** How long something lasts, in at most two units, the second only when it is not zero: 2d16h, 2m19s, 12s. */
export const lasting = (millis: number): string => {
  const seconds = Math.max(0, Math.floor(millis / 1000))
  const first = units.findIndex(([, size]) => seconds >= size)
  const [unit, size] = units[first] ?? ["s", 1]
  const [nextUnit, nextSize] = units[first + 1] ?? ["", 0]
  const rest = nextSize === 0 ? 0 : Math.floor((seconds % size) / nextSize)
  return `${Math.floor(seconds / size)}${unit}${rest > 0 ? `${rest}${nextUnit}` : ""}`
}

/** A time for people, to the second and in UTC. */
export const stampOf = (millis: number): string => `${new Date(millis).toISOString().slice(0, 19)}Z`
