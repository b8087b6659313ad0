// The demo's private CA and the one certificate of its two servers, in the folder that is named.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { issue, makeCa } from "../../test/support/certs.ts"

const main = async (folder: string) => {
  const notAfter = new Date(Date.now() + 365 * 86_400_000)
  const ca = await makeCa("MCP demo CA", { notAfter })
  const { cert, key } = await issue(ca, { names: ["127.0.0.1", "localhost"], notAfter })
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries({ "ca.pem": ca.cert, "server.pem": cert, "server.key": key })) {
    writeFileSync(join(folder, name), text, { mode: name.endsWith(".key") ? 0o600 : 0o644 })
  }
}

const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error("which folder?")
await main(folder)
