const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const

export type Style = keyof typeof codes

/** Colours text, or leaves it alone where there is no terminal. */
export type Paint = (style: Style | undefined, text: string) => string

const ESC = "\u001b"
const sequence = new RegExp(`${ESC}(?:\\[[0-9;?]*[ -/]*[@-~]|\\][^\u0007${ESC}]*(?:\u0007|${ESC}\\\\))`, "g")

export const plain: Paint = (_, text) => text

const coloured: Paint = (style, text) =>
  style === undefined || text === "" ? text : `${ESC}[${codes[style]}m${text}${ESC}[0m`

export const painter = (enabled: boolean): Paint => (enabled ? coloured : plain)

export const strip = (text: string): string => text.replace(sequence, "")

export const up = (lines: number): string => (lines > 0 ? `${ESC}[${lines}A` : "")
export const clearLine = `${ESC}[2K`
export const clearBelow = `${ESC}[0J`
export const clearToEnd = `${ESC}[K`
export const home = `${ESC}[H`
export const hideCursor = `${ESC}[?25l`
export const showCursor = `${ESC}[?25h`

/** A screen of its own, without a cursor or wrapped lines; what was there before comes back when it is left. */
export const enterScreen = `${ESC}[?1049h${ESC}[?7l${hideCursor}`
export const leaveScreen = `${showCursor}${ESC}[?7h${ESC}[?1049l`

/** Shortens to a width, the last character an ellipsis. */
export const shorten = (text: string, width: number): string =>
  text.length <= width ? text : width <= 1 ? text.slice(0, Math.max(0, width)) : `${text.slice(0, width - 1)}…`

/** Breaks text between words, so that no line is wider; a word that is wider itself is cut. */
export const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let line = ""
  for (const word of text.split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`
    if (longer.length <= width) {
      line = longer
      continue
    }
    if (line !== "") lines.push(line.trimEnd())
    line = word
    while (line.length > width) {
      lines.push(line.slice(0, width))
      line = line.slice(width)
    }
  }
  return line === "" && lines.length > 0 ? lines : [...lines, line]
}

/** What others wrote, fit for one line of a terminal: no control characters. */
export const tame = (text: string): string => strip(text).replace(/[\p{Cc}]+/gu, " ")
