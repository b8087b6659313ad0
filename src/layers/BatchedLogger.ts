import { Logger } from "effect"

/**
 * Writes to standard error, the lines of one turn of the event loop at once: each write waits until it is taken, and a
 * busy agent logs a line for every call. What ends the process by itself still writes them all.
 */
export const make = (
  format: Logger.Logger<unknown, string>,
  write: (text: string) => void = (text) => console.error(text)
): Logger.Logger<unknown, void> => {
  let lines: Array<string> = []
  const flush = () => {
    if (lines.length === 0) return
    const text = lines.join("\n")
    lines = []
    write(text)
  }
  process.on("exit", flush)
  return Logger.map(format, (line) => {
    if (lines.push(line) === 1) setImmediate(flush)
  })
}
