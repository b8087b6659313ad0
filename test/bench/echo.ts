import { readFileSync } from "node:fs"
import { Server, ServerCredentials } from "@grpc/grpc-js"

/* grpc-js and nothing else, over TLS 1.3: what the agent's rate is held against. echo ADDRESS CERT KEY PATH */

const [address = "", cert = "", key = "", path = ""] = process.argv.slice(2)
const bytes = (message: Buffer) => message

const server = new Server()
server.addService(
  {
    echo: {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: bytes,
      requestDeserialize: bytes,
      responseSerialize: bytes,
      responseDeserialize: bytes
    }
  },
  { echo: (call: { request: Buffer }, answer: (error: null, response: Buffer) => void) => answer(null, call.request) }
)
const pair = { cert_chain: readFileSync(cert), private_key: readFileSync(key) }
const credentials = ServerCredentials.createSsl(null, [pair])
server.bindAsync(address, credentials, (error) => {
  if (error !== null) throw error
  console.error("listening")
})
