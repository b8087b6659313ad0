import { painter, plain } from "./ansi.ts"
import { completions } from "./completions.ts"
import { commandHelp, groupHelp, rootHelp } from "./help.ts"
import { paths } from "./root.ts"
import { shells } from "./shells.ts"

/** Every help by its command words, without and with colours: what the program prints, for those who need not load it. */
export const helpTexts = (version: string): Record<string, readonly [plain: string, coloured: string]> => {
  const coloured = painter(true)
  const texts: Record<string, readonly [string, string]> = {
    "": [rootHelp(plain, version), rootHelp(coloured, version)]
  }
  for (const [first, second] of paths) {
    if (second.length === 0) texts[first] = [commandHelp([first], plain), commandHelp([first], coloured)]
    else texts[first] = [groupHelp(first), groupHelp(first)]
    for (const word of second) {
      const path = [first, word]
      texts[path.join(" ")] = [commandHelp(path, plain), commandHelp(path, coloured)]
    }
  }
  return texts
}

export const completionScripts = (): Record<string, string> =>
  Object.fromEntries(shells.map((shell) => [shell, completions(shell)]))
