/** A rule that a spec breaks; `path` has the definition's own names. */
export interface Violation {
  readonly path: ReadonlyArray<string | number>
  /** Stable. */
  readonly code: string
  readonly message: string
  readonly severity: "error" | "warning"
}

export const violation = (path: Violation["path"], code: string, message: string): Violation => ({
  path,
  code,
  message,
  severity: "error"
})

/** The items whose key an earlier one has as well. */
export const repeated = <A>(items: ReadonlyArray<A>, keyOf: (item: A) => string | undefined) => {
  const seen = new Map<string, number>()
  return items.flatMap((item, i) => {
    const key = keyOf(item)
    if (key === undefined) return []
    const first = seen.get(key)
    if (first !== undefined) return [{ item, i, key, first }]
    seen.set(key, i)
    return []
  })
}
