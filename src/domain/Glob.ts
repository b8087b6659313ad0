type One = (char: string) => boolean
type Token =
  | { readonly _tag: "One"; readonly fits: One }
  /** Any number of them. */
  | { readonly _tag: "Many"; readonly fits: One }
  /** Nothing, or whole folders with their `/`. */
  | { readonly _tag: "Folders" }

const notSlash: One = (char) => char !== "/"
const any: One = () => true

/** A set such as `[a-z]` or `[!a]`, and where it ends; undefined when nothing ends it. */
const set = (chars: ReadonlyArray<string>, from: number): { readonly fits: One; readonly next: number } | undefined => {
  const negated = chars[from] === "!" || chars[from] === "^"
  const first = negated ? from + 1 : from
  const end = chars.indexOf("]", first + 1)
  if (end === -1) return undefined
  const ranges: Array<readonly [string, string]> = []
  for (let i = first; i < end; i += 1) {
    const low = chars[i] as string
    const ranged = chars[i + 1] === "-" && i + 2 < end
    ranges.push([low, ranged ? (chars[i + 2] as string) : low])
    if (ranged) i += 2
  }
  const code = (char: string) => char.codePointAt(0) ?? 0
  const within = (char: string) => ranges.some(([low, high]) => code(char) >= code(low) && code(char) <= code(high))
  return { fits: (char) => char !== "/" && within(char) !== negated, next: end + 1 }
}

const tokens = (pattern: string): ReadonlyArray<Token> => {
  const chars = [...pattern]
  const found: Array<Token> = []
  for (let i = 0; i < chars.length; ) {
    const char = chars[i] as string
    const begins = i === 0 || chars[i - 1] === "/"
    if (char === "*" && chars[i + 1] === "*" && begins && chars[i + 2] === "/") {
      found.push({ _tag: "Folders" })
      i += 3
    } else if (char === "*" && chars[i + 1] === "*") {
      found.push({ _tag: "Many", fits: any })
      i += 2
    } else if (char === "*") {
      found.push({ _tag: "Many", fits: notSlash })
      i += 1
    } else if (char === "?") {
      found.push({ _tag: "One", fits: notSlash })
      i += 1
    } else {
      const ranged = char === "[" ? set(chars, i + 1) : undefined
      const escaped = char === "\\" && i + 1 < chars.length
      const literal = escaped ? chars[i + 1] : char
      found.push({ _tag: "One", fits: ranged?.fits ?? ((one) => one === literal) })
      i = ranged?.next ?? (escaped ? i + 2 : i + 1)
    }
  }
  return found
}

/**
 * Whether a text fits a pattern of `*`, `?`, `**` and `[..]`, in time that grows with the product of their lengths only:
 * each character moves a set of places in the pattern on.
 */
export const glob = (pattern: string): ((text: string) => boolean) => {
  const parts = tokens(pattern)
  const add = (places: Set<number>, place: number): void => {
    if (places.has(place)) return
    places.add(place)
    const token = parts[place]
    if (token !== undefined && token._tag !== "One") add(places, place + 1)
  }
  return (text) => {
    let places = new Set<number>()
    add(places, 0)
    for (const char of text) {
      const next = new Set<number>()
      for (const place of places) {
        const token = parts[Math.floor(place)]
        if (token === undefined) continue
        // Within the folders of a `**/`, half a place on: only behind a `/` does what follows begin.
        if (token._tag === "Folders") {
          if (char === "/" && !Number.isInteger(place)) add(next, Math.floor(place))
          else if (char !== "/") next.add(Math.floor(place) + 0.5)
        } else if (token.fits(char)) add(next, token._tag === "Many" ? place : place + 1)
      }
      places = next
      if (places.size === 0) return false
    }
    return places.has(parts.length)
  }
}
