import type { Entry, Place } from "./Node.ts"

/** `left_out`: the definition has nothing of it. `changed`: it is there in another form. `advice`: it is there as it was. */
export type Outcome = "left_out" | "changed" | "advice"

export interface Finding {
  readonly place: Place
  /** Dotted, as in `services.web.ports`. */
  readonly key: string
  readonly message: string
}

export interface Item extends Finding {
  readonly outcome: Outcome
}

/** What a walk over a compose file finds, in the order in which it comes upon it. */
export interface Report {
  readonly problems: Array<Finding>
  readonly items: Array<Item>
  /** What is still to be done by hand, as commands. */
  readonly steps: Set<string>
  /** Where every key stands that was gone into. */
  readonly visited: Set<string>
  /** By place: variables that are not set, and so may be why something is wrong there. */
  readonly unset: Map<string, ReadonlyArray<string>>
  /** By a path of the definition: what in the compose file led to it. */
  readonly origins: Map<string, Place>
  readonly visit: (entry: Entry) => void
  readonly wrong: (place: Place, key: string, message: string) => void
  readonly leftOut: (place: Place, key: string, message: string) => void
  readonly changed: (place: Place, key: string, message: string) => void
  readonly advise: (place: Place, key: string, message: string) => void
}

export const placeId = ({ column, file, line }: Place): string => `${file}:${line}:${column}`

export const makeReport = (): Report => {
  const problems: Array<Finding> = []
  const items: Array<Item> = []
  // What two services take from one anchor is said once.
  const told = new Set<string>()
  const item = (outcome: Outcome) => (place: Place, key: string, message: string) => {
    const id = JSON.stringify([place, key, message])
    if (!told.has(id)) items.push({ outcome, place, key, message })
    told.add(id)
  }
  const visited = new Set<string>()
  return {
    ...{ problems, items, steps: new Set(), visited, unset: new Map(), origins: new Map() },
    visit: ({ place }) => void visited.add(placeId(place)),
    wrong: (place, key, message) => void problems.push({ place, key, message }),
    leftOut: item("left_out"),
    changed: item("changed"),
    advise: item("advice")
  }
}
