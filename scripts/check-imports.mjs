// Imports point one way. Each folder lists the folders it may use, besides itself; whatever is not listed is refused.
import { readdirSync, readFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { dirname, join, normalize } from "node:path"
import ts from "typescript"

const root = process.argv[2] ?? "src"

const mayUse = {
  domain: [],
  services: ["domain"],
  layers: ["domain", "services", "grpc", "gen"],
  programs: ["domain", "services"],
  grpc: ["domain", "gen"],
  gen: [],
  agent: ["domain", "services", "programs", "grpc", "gen"],
  master: ["domain", "services", "programs", "grpc", "gen"],
  reference: ["domain"],
  compose: ["domain"],
  cli: ["domain", "services", "programs", "grpc", "gen", "reference", "compose"],
  mcias: ["domain"]
}

/** Types cost nothing at run time, and bring no code along. */
const mayUseTypesOf = { services: ["gen", "grpc"] }

/** Packages of these folders; the others may use any. A service brings no driver, so its users load none. */
const packages = {
  domain: ["effect", "smol-toml", "toml-eslint-parser"],
  services: ["effect"],
  programs: ["effect"],
  compose: ["effect", "yaml"]
}
// Of Node, domain and compose use pure functions only: hashing, equality, and the forms of addresses and paths.
const builtins = {
  domain: ["node:crypto", "node:net", "node:path/posix", "node:util"],
  services: [],
  programs: [],
  compose: ["node:path/posix"]
}

// The mains put everything together; main.ts is what they share.
const isMain = (file) => /^programs\/(mcp[^/]*|main)\.ts$/.test(file)
const mainsOf = { mcias: "programs/mcp-mcias.ts" }

const isTypeOnly = (node) => {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly
  const clause = node.importClause
  if (clause === undefined) return false
  if (clause.isTypeOnly) return true
  const named = clause.namedBindings
  return clause.name === undefined && named !== undefined && ts.isNamedImports(named)
    ? named.elements.length > 0 && named.elements.every((element) => element.isTypeOnly)
    : false
}

const importsOf = (file, text) => {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found = []
  const add = (literal, typeOnly) => {
    if (literal !== undefined && ts.isStringLiteralLike(literal)) {
      const { line } = source.getLineAndCharacterOfPosition(literal.getStart())
      found.push({ name: literal.text, typeOnly, line: line + 1 })
    }
  }
  const visit = (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node))
    else if (ts.isImportTypeNode(node)) add(node.argument.literal, true)
    else if (ts.isCallExpression(node)) {
      const callee = node.expression
      if (callee.kind === ts.SyntaxKind.ImportKeyword || callee.getText() === "require") add(node.arguments[0], false)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

const packageOf = (name) =>
  name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/")

/** Why a file may not import this, or nothing. */
const objection = (file, { name, typeOnly }) => {
  const folder = file.split("/")[0]
  if (!(folder in mayUse)) return `${folder}/ has no rule in scripts/check-imports.mjs`
  if (name.startsWith(".")) {
    const target = normalize(join(dirname(file), name)).split("/")[0]
    if (target === "..") return "it lies outside src/"
    if (target in mainsOf && target !== folder && file !== mainsOf[target]) return `only ${mainsOf[target]} may`
    if (target === folder || isMain(file)) return
    if (mayUse[folder].includes(target)) return
    if (typeOnly && mayUseTypesOf[folder]?.includes(target)) return
    const types = mayUseTypesOf[folder]?.map((allowed) => `${allowed} (types)`) ?? []
    return `${folder} may use: ${[...mayUse[folder], ...types].join(", ") || "nothing else"}`
  }
  if (isMain(file)) return
  if (name.startsWith("node:") || builtinModules.includes(name)) {
    const allowed = builtins[folder]
    return allowed === undefined || allowed.includes(name)
      ? undefined
      : `${folder} may use of Node: ${allowed.join(", ") || "nothing"}`
  }
  const allowed = packages[folder]
  if (allowed === undefined || allowed.includes(packageOf(name))) return
  return `${folder} may use the packages: ${allowed.join(", ")}`
}

const files = readdirSync(root, { recursive: true }).filter((file) => file.endsWith(".ts"))
const problems = files.flatMap((file) =>
  importsOf(file, readFileSync(join(root, file), "utf8")).flatMap((use) => {
    const why = objection(file, use)
    return why === undefined ? [] : [`${join(root, file)}:${use.line}: imports ${use.name}: ${why}`]
  })
)
for (const problem of problems) console.error(problem)
if (files.length === 0) console.error(`no source file below ${root}/`)
process.exitCode = problems.length > 0 || files.length === 0 ? 1 : 0
