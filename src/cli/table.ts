import { type Paint, type Style, shorten, tame } from "./ansi.ts"

export type Cell = string | { readonly text: string; readonly style: Style | undefined }

const GAP = 2
const NARROWEST = 6

// Much of it was written by others: a name, a reason, an image.
const textOf = (cell: Cell) => tame(typeof cell === "string" ? cell : cell.text)
const shown = (cell: Cell) => textOf(cell) || "-"

const total = (widths: ReadonlyArray<number>) =>
  widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1)

/** How many columns fit; where even narrow ones do not, those at the end are left out. */
const fitting = (widths: ReadonlyArray<number>, available: number): number => {
  let columns = widths.length
  while (columns > 1 && total(widths.slice(0, columns).map((width) => Math.min(width, NARROWEST))) > available)
    columns--
  return columns
}

/** The widest column gives way first, so that short ones stay whole. */
const shrink = (natural: ReadonlyArray<number>, available: number): ReadonlyArray<number> => {
  const widths = [...natural]
  while (total(widths) > available) {
    const widest = Math.max(...widths)
    if (widest <= NARROWEST) break
    widths[widths.indexOf(widest)] = widest - 1
  }
  return widths
}

/** Lines of aligned columns under a heading, no wider than the terminal. Empty cells are shown as `-`. */
export const table = (
  heading: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<Cell>>,
  { paint, width }: { readonly paint: Paint; readonly width: number }
): ReadonlyArray<string> => {
  const natural = heading.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => shown(row[column] ?? "").length))
  )
  const columns = fitting(natural, width)
  const widths = shrink(natural.slice(0, columns), width)
  const line = (cells: ReadonlyArray<Cell>, style?: Style) =>
    cells
      .slice(0, columns)
      .map((cell, column) => {
        const text = shorten(shown(cell), widths[column] ?? 0)
        const padding = column === columns - 1 ? "" : " ".repeat((widths[column] ?? 0) - text.length + GAP)
        return paint(style ?? (typeof cell === "string" ? undefined : cell.style), text) + padding
      })
      .join("")
      .trimEnd()
  return [line(heading, "bold"), ...rows.map((row) => line(row))]
}
