/** One line of `mcp-agent check-host`; a check that failed says what to do. */
export interface Finding {
  readonly check: "podman" | "container" | "memory" | "tmpfs" | "zstd" | "certificate" | "address" | "mcias" | "clock"
  readonly ok: boolean
  readonly found: string
  readonly fix: string | undefined
}

export const good = (check: Finding["check"], found: string): Finding => ({ check, ok: true, found, fix: undefined })
export const bad = (check: Finding["check"], found: string, fix: string): Finding => ({ check, ok: false, found, fix })

/** Tokens and certificates live for minutes to years; beyond this one side takes the other's for ended or to come. */
const TOLERATED = 30_000
/** No clock that runs is before this program was written. */
const EARLIEST = Date.UTC(2026, 0, 1)

/** By the node's own clock and the identity server's, when that told it. */
export const clockFinding = (now: number, server: number | undefined): Finding => {
  const fix = "set the clock and keep it so: apt-get install systemd-timesyncd, then timedatectl set-ntp true"
  const here = new Date(now).toISOString()
  if (now < EARLIEST) return bad("clock", `it is ${here} here, which is past`, fix)
  if (server === undefined) return good("clock", `${here}; there is no other clock to compare it with`)
  const ahead = now - server
  const seconds = Math.round(Math.abs(ahead) / 1000)
  return Math.abs(ahead) <= TOLERATED
    ? good("clock", `within ${Math.max(1, seconds)} s of the identity server's`)
    : bad("clock", `${seconds} s ${ahead > 0 ? "ahead of" : "behind"} the identity server's`, fix)
}

const WIDTH = 13

export const renderFinding = ({ check, fix, found, ok }: Finding): ReadonlyArray<string> => [
  `${check.padEnd(WIDTH)}${ok ? "ok    " : "failed"}  ${found.replaceAll(/\s+/g, " ")}`,
  ...(fix === undefined ? [] : [`${" ".repeat(WIDTH)}fix:    ${fix}`])
]
