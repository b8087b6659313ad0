/** How a row is measured: in time, where less is better, or as a rate. */
export type Unit = "ms" | "calls/s"

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
  /** Ours by theirs, in their medians. */
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
  const bound = unit === "ms" ? "at most" : "at least"
  if (!isMeasured(ours) || !isMeasured(peer)) return { name, ratio: null, target, bound, met: null, ours, peer }
  const ratio = rounded(ours.median / peer.median, 3)
  return { name, ratio, target, bound, met: bound === "at most" ? ratio <= target : ratio >= target, ours, peer }
}

const figure = (value: number) => (value < 100 ? value.toFixed(1) : value.toFixed(0))

const sideText = (side: Side) =>
  isMeasured(side)
    ? `${side.name}: ${figure(side.median)} ${side.unit} (${figure(side.min)}-${figure(side.max)})`
    : `${side.name}: not measured (${side.why.replaceAll(/[|\s]+/g, " ").trim()})`

const verdict = ({ met }: Result) => (met === null ? "not measured" : met ? "yes" : "no")

/** A line for each result: medians, with least and most in brackets. */
export const markdown = (results: ReadonlyArray<Result>): string =>
  [
    "| row | ours | peer | ratio | target | met |",
    "| --- | --- | --- | --- | --- | --- |",
    ...results.map((result) =>
      [
        "",
        result.name,
        sideText(result.ours),
        sideText(result.peer),
        result.ratio === null ? "-" : result.ratio.toFixed(2),
        `${result.bound === "at most" ? "<=" : ">="} ${result.target}`,
        verdict(result),
        ""
      ]
        .join(" | ")
        .trim()
    )
  ].join("\n")
