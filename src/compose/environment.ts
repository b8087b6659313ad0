import { readEnvFile, resolvePath } from "./files.ts"
import { isNull, listOf, type Node } from "./Node.ts"
import type { Scope } from "./Scope.ts"
import { boolean, each, eachItem, expected, type Handler, scalar, walk } from "./walk.ts"

/** Told by its name alone: no value is looked at. */
const secretName =
  /(PASS(WORD|WD|PHRASE)?|SECRET|TOKEN|(API|PRIVATE|ACCESS|ENCRYPTION|SECRET)_?KEY(_?BASE)?|CREDENTIALS?)$/i

const isName = (name: string) => /^[A-Za-z_][\w.-]*$/.test(name) && name !== "__proto__"

/** Later ones win, and `environment` over all files. */
export const envFile =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    const { loader, lookup, report } = scope
    eachItem(listOf(value), (item, i) => {
      const at = value.kind === "seq" ? `${key}[${i}]` : key
      let path: Node | undefined = item.kind === "scalar" ? item : undefined
      let required = true
      let raw = false
      if (item.kind !== "scalar") {
        walk(report, item, at, {
          path: (entry, where) => {
            path = scalar(report, entry.value, where)
          },
          required: (entry, where) => {
            required = boolean(report, entry.value, where) ?? true
          },
          format: (entry, where) => {
            const found = scalar(report, entry.value, where)
            raw = found?.text === "raw"
            if (found && !raw) report.wrong(entry.place, where, 'the one format with a name is "raw"')
          }
        })
      }
      if (path?.kind !== "scalar") return report.wrong(item.place, at, "needs the path of a file")
      const file = resolvePath(path.base, path.text)
      const values = readEnvFile(loader, file, lookup, { node: path, key: at }, { raw, required })
      if (values === undefined) return report.advise(path.place, at, `there is no file ${file}, and none is required`)
      for (const [name, text] of values) put(scope, path, at, name, text)
      report.changed(
        path.place,
        at,
        `${values.size} variables of ${file} stand in the definition now; the file is not read again`
      )
    })
  }

const put = (scope: Scope, node: Node, key: string, name: string, text: string) => {
  const { draft, report } = scope
  if (!isName(name)) return report.wrong(node.place, key, "expected the name of an environment variable")
  draft.env.set(name, text)
  scope.from(node.place, "env", name)
  if (secretName.test(name) && !/^(|yes|no|true|false|[01])$/i.test(text))
    report.advise(
      node.place,
      key,
      `${name} stands in the definition as plain text; where the program can read a file, a secret is better (mcp secret set)`
    )
}

/** A name alone takes its value from the environment or the env file, as compose does. */
const inherit = (scope: Scope, node: Node, key: string, name: string) => {
  // Without a name all of it may be a secret.
  if (!isName(name))
    return scope.report.wrong(node.place, key, "expected the name of an environment variable, or NAME=value")
  const value = scope.lookup(name)
  if (value !== undefined) return put(scope, node, key, name, value)
  scope.draft.env.delete(name)
  scope.report.leftOut(node.place, key, `${name} has no value here, neither in the environment nor in the env file`)
}

export const environment =
  (scope: Scope): Handler =>
  ({ value }, key) => {
    const { report } = scope
    if (value.kind === "map") {
      return each(report, value, key, ({ key: name, place, value: own }, at) => {
        if (isNull(own)) return inherit(scope, { ...own, place }, at, name)
        const text = scalar(report, own, at)
        if (text) put(scope, own, at, name, text.text)
      })
    }
    if (value.kind !== "seq" && !isNull(value)) return expected(report, value, key, "a map, or a list of NAME=value")
    eachItem(listOf(value), (item, i) => {
      const found = scalar(report, item, `${key}[${i}]`, "NAME=value")
      if (found === undefined) return
      const equals = found.text.indexOf("=")
      if (equals < 0) return inherit(scope, item, `${key}[${i}]`, found.text)
      put(scope, item, `${key}[${i}]`, found.text.slice(0, equals), found.text.slice(equals + 1))
    })
  }
