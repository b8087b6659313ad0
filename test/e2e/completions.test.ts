import { mkdirSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { run } from "../support/agent.ts"
import { temporaryFolder } from "../support/folder.ts"

const dist = join(import.meta.dirname, "../../dist")

/** For each shell, a program that prints what it would offer at the end of the line in $LINE, one word a line. */
const shells = {
  bash: [
    "bash",
    "-c",
    `cd "$HOME"
     source <(mcp --completions bash)
     read -ra COMP_WORDS <<< "$LINE"
     [[ $LINE == *" " ]] && COMP_WORDS+=("")
     COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
     _mcp
     printf '%s\\n' "\${COMPREPLY[@]}"`
  ],
  // compadd and what leads to it need a line editor; these take what they would be given.
  zsh: [
    "zsh",
    "-fc",
    `cd "$HOME"
     compdef() { :; }
     _files() { print -l -- *; }
     _describe() { [[ $1 == -o ]] && shift; print -l -- \${\${(P)2}%%:*}; }
     source <(mcp --completions zsh)
     words=(\${(z)LINE})
     [[ $LINE == *" " ]] && words+=("")
     CURRENT=$#words
     _mcp | grep -e "^\${words[CURRENT]}"`
  ],
  fish: [
    "fish",
    "--no-config",
    "-c",
    "cd $HOME; mcp --completions fish | source; complete -C $LINE | string split -f1 \\t"
  ]
} as const

const offers: ReadonlyArray<readonly [line: string, words: ReadonlyArray<string>]> = [
  ["mcp dep", ["deploy"]],
  ["mcp --json sta", ["start", "stats", "status"]],
  ["mcp service ", ["check", "edit", "export", "import", "list", "new", "show"]],
  ["mcp --config mcp.toml node a", ["add"]],
  ["mcp deploy --pu", ["--pull"]],
  ["mcp deploy ", ["blog", "shop"]],
  ["mcp deploy blog s", ["shop"]],
  ["mcp logs -f b", ["blog"]],
  ["mcp service check -f mcp", ["mcp.toml"]]
]

describe("the completion script of", () => {
  for (const [shell, [program, ...args]] of Object.entries(shells)) {
    it.scopedLive(`${shell} offers commands, options, services and files where each belongs`, () =>
      Effect.gen(function* () {
        const dir = temporaryFolder()
        mkdirSync(join(dir, "services"))
        for (const service of ["blog", "shop"]) writeFileSync(join(dir, "services", `${service}.toml`), "")
        writeFileSync(
          join(dir, "mcp.toml"),
          `[services]\ndir = "${dir}/services"\n[mcias]\nserver_url = "https://127.0.0.1:1"\nservice_name = "mcp"\n`
        )
        const env = { PATH: `${dist}${delimiter}${process.env.PATH}`, MCP_CONFIG: join(dir, "mcp.toml"), HOME: dir }
        for (const [line, words] of offers) {
          const ran = yield* run(program, args, { ...env, LINE: line })
          assert.strictEqual(ran.stderr, "", line)
          assert.deepStrictEqual(ran.stdout.trim().split("\n").sort(), [...words], line)
        }
      })
    )
  }
})
