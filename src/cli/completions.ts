import { commandOptions, globalOptions } from "./help.ts"
import { commands } from "./root.ts"
import type { Shell } from "./shells.ts"

/*
 * @effect/cli's own scripts offer options that mcp does not have, and no services. These are made of the same words as
 * the help; services are asked of `mcp service list --names`, which reads the folder of definitions alone.
 */

interface Option {
  readonly names: ReadonlyArray<string>
  readonly takesValue: boolean
  readonly about: string
}

interface Line {
  /** `deploy`, `service edit`. */
  readonly words: string
  readonly about: string
  readonly options: ReadonlyArray<Option>
  readonly takesServices: boolean
}

/** From `--file, -f FILE` of the help. */
const optionOf = ([left, about]: readonly [string, string]): ReadonlyArray<Option> => {
  const names = left.match(/(?<![\w-])--?[a-z][a-z-]*/g) ?? []
  return [{ names, takesValue: /(^|\s)[^-\s,]/.test(left), about }]
}

const global = globalOptions
  .flatMap(([left, about]) =>
    left === "--help, --version"
      ? [optionOf(["--help", "what it does"]), optionOf(["--version", "of mcp"])]
      : [optionOf([left, about])]
  )
  .flat()

const lines: ReadonlyArray<Line> = commands
  .flatMap(({ entries }) => entries)
  .map(([usage, about]) => {
    const words = usage.split(" ").filter((word) => /^[a-z]+$/.test(word))
    return {
      words: words.join(" "),
      about,
      options: commandOptions(words).flatMap(optionOf),
      takesServices: /<(service|target)>/.test(usage)
    }
  })

/** What may follow command words: the next ones, each once, with what they do. */
const following = (words: string) => {
  const found = new Map<string, string>()
  for (const line of lines) {
    if (words !== "" && !line.words.startsWith(`${words} `)) continue
    const [next = "", more] = (words === "" ? line.words : line.words.slice(words.length + 1)).split(" ")
    if (!found.has(next)) found.set(next, more === undefined ? line.about : `${next} commands`)
  }
  return [...found]
}

/** No words, and the first words of those that have two. */
const stems = ["", ...new Set(lines.flatMap(({ words }) => /^(.*) /.exec(words)?.[1] ?? []))]

const valuesOf = (options: ReadonlyArray<Option>) =>
  options.filter(({ takesValue }) => takesValue).flatMap((o) => o.names)
const globalValues = valuesOf(global)
const single = (text: string) => `'${text.replaceAll("'", "'\\''")}'`

/** Sets `command` to the command words before the one that is being typed: options and their values left out. */
const findCommand = (words: string) => `  for word in ${words}; do
    if [[ $skip == 1 ]]; then skip=0; continue; fi
    case $word in
      ${globalValues.join("|")}) skip=1 ;;
      -*) ;;
      *) if [[ -z $command || $command == @(${stems.slice(1).join("|")}) ]]; then command="\${command:+$command }$word"; fi ;;
    esac
  done`

const bash = () => `# bash completion of mcp: source <(mcp --completions bash)
_mcp() {
  local word command= skip=0 cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  local offered= services=0 valued=
  COMPREPLY=()
${findCommand(`"\${COMP_WORDS[@]:1:COMP_CWORD-1}"`)}
  case $command in
${stems
  .map(
    (stem) =>
      `    ${single(stem)}) offered=${single(
        following(stem)
          .map(([word]) => word)
          .join(" ")
      )} ;;`
  )
  .join("\n")}
${lines
  .map(({ options, takesServices, words }) => {
    const names = options.flatMap((option) => option.names).join(" ")
    return `    ${single(words)}) offered=${single(names)} valued=${single(valuesOf(options).join(" "))} services=${takesServices ? 1 : 0} ;;`
  })
  .join("\n")}
  esac
  if [[ -n $prev && " $valued ${globalValues.join(" ")} " == *" $prev "* ]]; then
    COMPREPLY=($(compgen -f -- "$cur"))
    return
  fi
  if [[ $cur == -* ]]; then offered+=" ${global.flatMap(({ names }) => names).join(" ")}"
  elif [[ $services == 1 ]]; then offered=$(mcp service list --names 2>/dev/null)
  fi
  COMPREPLY=($(compgen -W "$offered" -- "$cur"))
}
complete -F _mcp mcp
`

/** zsh's \`_describe\` splits at the first colon. */
const described = (pairs: ReadonlyArray<readonly [string, string]>) =>
  pairs.map(([word, about]) => single(`${word.replaceAll(":", "\\:")}:${about}`)).join(" ")
const optionPairs = (options: ReadonlyArray<Option>) =>
  options.flatMap(({ about, names }) => names.map((name) => [name, about] as const))

const zsh = () => `#compdef mcp
# zsh completion of mcp: source <(mcp --completions zsh), after compinit
_mcp() {
  setopt localoptions extendedglob kshglob
  local word command= skip=0 services=0 valued=
  local -a offered options
${findCommand(`"\${(@)words[2,CURRENT-1]}"`)}
  options=(${described(optionPairs(global))})
  case $command in
${stems.map((stem) => `    ${single(stem)}) offered=(${described(following(stem))}) ;;`).join("\n")}
${lines
  .map(
    ({ options, takesServices, words }) =>
      `    ${single(words)}) options+=(${described(optionPairs(options))}) valued=${single(valuesOf(options).join(" "))} services=${takesServices ? 1 : 0} ;;`
  )
  .join("\n")}
  esac
  if [[ " $valued ${globalValues.join(" ")} " == *" \${words[CURRENT-1]} "* ]]; then _files
  elif [[ \${words[CURRENT]} == -* ]]; then _describe -o option options
  elif [[ $services == 1 ]]; then offered=(\${(f)"$(mcp service list --names 2>/dev/null)"}); _describe service offered
  else _describe command offered; fi
}
compdef _mcp mcp
`

const fishOption = (at: string, { about, names, takesValue }: Option) =>
  [
    "complete -c mcp",
    ...(at === "" ? [] : [`-n ${single(at)}`]),
    ...names.map((name) => (name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`)),
    ...(takesValue ? ["-r -F"] : []),
    `-d ${single(about)}`
  ].join(" ")

const fish = () => `# fish completion of mcp: mcp --completions fish | source
function __mcp_command
  set -l command
  set -l skip 0
  for word in (commandline -opc)[2..]
    if test $skip = 1
      set skip 0
      continue
    end
    switch $word
      case ${globalValues.join(" ")}
        set skip 1
      case '-*'
      case '*'
        if test (count $command) = 0; or contains -- "$command" ${stems.slice(1).join(" ")}
          set -a command $word
        end
    end
  end
  echo "$command"
end
function __mcp_at
  test (__mcp_command) = "$argv"
end
complete -c mcp -f
${global.map((option) => fishOption("", option)).join("\n")}
${stems
  .flatMap((stem) =>
    following(stem).map(
      ([word, about]) => `complete -c mcp -n ${single(`__mcp_at ${stem}`)} -a ${word} -d ${single(about)}`
    )
  )
  .join("\n")}
${lines
  .flatMap(({ options, takesServices, words }) => [
    ...(takesServices ? [`complete -c mcp -n '__mcp_at ${words}' -a '(mcp service list --names 2>/dev/null)'`] : []),
    ...options.map((option) => fishOption(`__mcp_at ${words}`, option))
  ])
  .join("\n")}
`

const by: { readonly [S in Shell]: () => string } = { bash, zsh, fish }

/** A script that makes the shell complete mcp's commands, options and services. */
export const completions = (shell: Shell): string => by[shell]()
