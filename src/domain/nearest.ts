/** The optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours. */
const distance = (a: string, b: string): number => {
  const rows = Array.from({ length: a.length + 1 }, (_, i) => [i, ...new Array<number>(b.length).fill(0)])
  const at = (i: number, j: number) => rows[i]?.[j] ?? 0
  for (let j = 0; j <= b.length; j++) (rows[0] as Array<number>)[j] = j
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let best = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, at(i - 2, j - 2) + 1)
      ;(rows[i] as Array<number>)[j] = best
    }
  }
  return at(a.length, b.length)
}

/** The candidate that a mistyped word most likely meant; undefined when none is near. */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  let found: string | undefined
  let best = Math.max(1, Math.floor(Math.min(word.length, 64) / 3)) + 1
  for (const candidate of candidates) {
    const d = distance(word.slice(0, 64), candidate.slice(0, 64))
    if (d < best) [found, best] = [candidate, d]
  }
  return found
}
