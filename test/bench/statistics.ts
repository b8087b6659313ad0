/** How a row is measured: in what is used, where less is better, or as a rate. */
export type Unit = "ms" | "calls/s" | "MB/s" | "files/s" | "% of a core" | "MiB"

/** The samples of one program. */
export interface Sampled {
  readonly name: string
  readonly unit: Unit
  readonly median: number
  readonly min: number
  readonly max: number
  readonly runs: number
}

/** A program without samples, and why. */
export interface NotMeasured {
  readonly name: string
  readonly why: string
}

export type Side = Sampled | NotMeasured

/** A row against one of its peers. */
export interface Result {
  readonly name: string
  /** What counts: ours by theirs; by how much ours is more than theirs; ours alone. Of their medians, unless the row says. */
  readonly how: "ratio" | "difference" | "value"
  readonly ratio: number | null
  readonly target: number
  /** Whether the target is the most or the least that the ratio may be. */
  readonly bound: "at most" | "at least"
  readonly met: boolean | null
  readonly ours: Side
  readonly peer: Side
}

export const isMeasured = (side: Side): side is Sampled => "median" in side

export const median = (samples: ReadonlyArray<number>): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  const [below = Number.NaN, above = below] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]]
  return (below + above) / 2
}

const rounded = (value: number, digits: number) => Number(value.toFixed(digits))

export const sampled = (name: string, unit: Unit, samples: ReadonlyArray<number>): Side =>
  samples.length === 0
    ? { name, why: "no run of it was completed" }
    : {
        name,
        unit,
        median: rounded(median(samples), 2),
        min: rounded(Math.min(...samples), 2),
        max: rounded(Math.max(...samples), 2),
        runs: samples.length
      }

export const compare = (name: string, unit: Unit, target: number, ours: Side, peer: Side): Result => {
  const bound = unit.endsWith("/s") ? "at least" : "at most"
  const about = { name, how: "ratio", target, bound, ours, peer } as const
  if (!isMeasured(ours) || !isMeasured(peer)) return { ...about, ratio: null, met: null }
  const ratio = rounded(ours.median / peer.median, 3)
  return { ...about, ratio, met: bound === "at most" ? ratio <= target : ratio >= target }
}

/** The value below which so many of a hundred lie. */
export const percentile = (samples: ReadonlyArray<number>, of: number): number => {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil((sorted.length * of) / 100) - 1)] ?? Number.NaN
}

/** What of two sides counts is how much more ours is; `figure` takes it from the samples. */
export const more = (
  name: string,
  target: number,
  [ourName, ours]: readonly [string, ReadonlyArray<number>],
  [peerName, theirs]: readonly [string, ReadonlyArray<number>],
  unit: Unit = "ms",
  figure: (samples: ReadonlyArray<number>) => number = median
): Result => {
  const difference = rounded(figure(ours) - figure(theirs), 1)
  return {
    name,
    how: "difference",
    ratio: difference,
    target,
    bound: "at most",
    met: difference <= target,
    ours: sampled(ourName, unit, ours),
    peer: sampled(peerName, unit, theirs)
  }
}

/** What counts is ours alone; the peer stands beside it for comparison. */
export const atMost = (name: string, target: number, ours: Side, peer: Side = { name: "", why: "" }): Result => {
  const value = isMeasured(ours) ? ours.median : null
  return {
    name,
    how: "value",
    ratio: value,
    target,
    bound: "at most",
    met: value === null ? null : value <= target,
    ours,
    peer
  }
}

const figure = (value: number) => (value < 100 ? value.toFixed(1) : value.toFixed(0))

const sideText = (side: Side) =>
  !isMeasured(side) && side.name === ""
    ? ""
    : isMeasured(side)
      ? `${side.name}: ${figure(side.median)} ${side.unit} (${figure(side.min)}-${figure(side.max)})`
      : `${side.name}: not measured (${side.why.replaceAll(/[|\s]+/g, " ").trim()})`

const unitOf = ({ ours }: Result) => (isMeasured(ours) ? ours.unit : "")

const figureText = (result: Result) => {
  if (result.ratio === null) return "-"
  if (result.how === "ratio") return result.ratio.toFixed(2)
  const sign = result.how === "difference" && result.ratio >= 0 ? "+" : ""
  return `${sign}${result.ratio.toFixed(1)} ${unitOf(result)}`
}

const targetText = (result: Result) => {
  const sign = result.how === "difference" ? "+" : ""
  const unit = result.how === "ratio" ? "" : ` ${unitOf(result)}`
  return `${result.bound === "at most" ? "<=" : ">="} ${sign}${result.target}${unit}`
}

const verdict = ({ met }: Result) => (met === null ? "not measured" : met ? "yes" : "no")

/** A line for each result: medians, with least and most in brackets. */
export const markdown = (results: ReadonlyArray<Result>): string =>
  [
    "| row | ours | peer | figure | target | met |",
    "| --- | --- | --- | --- | --- | --- |",
    ...results.map((result) =>
      [
        "",
        result.name,
        sideText(result.ours),
        sideText(result.peer),
        figureText(result),
        targetText(result),
        verdict(result),
        ""
      ]
        .join(" | ")
        .trim()
    )
  ].join("\n")
