import { Either } from "effect"

export interface Words {
  readonly words: ReadonlyArray<string>
  /** What a shell would act on, and nobody does here: `&&`, `|`, `>`, `*` and the like, as they stand. */
  readonly shellOnly: ReadonlyArray<string>
}

/** Splits a command line into words, by quotes and backslashes, without running a shell. */
export const splitWords = (text: string): Either.Either<Words, string> => {
  const words: Array<string> = []
  const shellOnly: Array<string> = []
  let word: string | undefined
  for (let i = 0; i < text.length; i++) {
    const char = text[i] ?? ""
    if (/\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (char === "'") {
      const end = text.indexOf("'", i + 1)
      if (end < 0) return Either.left("a ' that nothing closes")
      word = (word ?? "") + text.slice(i + 1, end)
      i = end
    } else if (char === '"') {
      word ??= ""
      for (i++; text[i] !== '"'; i++) {
        if (i >= text.length) return Either.left('a " that nothing closes')
        if (text[i] === "\\" && /["\\$`\n]/.test(text[i + 1] ?? "")) i++
        word += text[i]
      }
    } else if (char === "\\") {
      if (i + 1 >= text.length) return Either.left("a \\ at the end")
      i++
      if (text[i] !== "\n") word = (word ?? "") + text[i]
    } else {
      if (/[;&|<>`]/.test(char) || (char === "$" && /[({A-Za-z_]/.test(text[i + 1] ?? ""))) {
        if (!shellOnly.includes(char)) shellOnly.push(char)
      }
      word = (word ?? "") + char
    }
  }
  if (word !== undefined) words.push(word)
  return Either.right({ words, shellOnly })
}
