import { setFlagsFromString } from "node:v8"

/** How much the heap may grow before V8 looks for garbage in all of it, in per cent of what is in use. */
const GROWTH = 400

let transfers = 0

/**
 * Until `collectAsUsual`, once for each call, garbage is collected less often. V8 counts the pieces of a file as if they
 * lay in its heap, and with a small heap marks all of that again for every few MiB that are moved: half of a transfer's
 * time. What waits to be collected is bounded all the same: at 64 MiB of such pieces it begins in any case.
 */
export const collectLessOften = (): void => {
  transfers += 1
  if (transfers === 1) setFlagsFromString(`--heap-growing-percent=${GROWTH}`)
}

export const collectAsUsual = (): void => {
  transfers -= 1
  if (transfers === 0) setFlagsFromString("--heap-growing-percent=0")
}
