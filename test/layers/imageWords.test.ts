import { assert, describe, it } from "@effect/vitest"
import {
  buildReason,
  errorOf,
  isUnknownRepository,
  lastStep,
  registryError
} from "../../src/layers/podman/imageWords.ts"

const reference = "r.example:5000/shop/web:1"

/* As podman 4.3 wrote them. */
const tags = (text: string) => ["Error: 1 error occurred:", `\t* getting repository tags: ${text}`, "", ""]
const pushing = (text: string) => [
  "Getting image source signatures",
  "Copying blob sha256:c980d0ddd3c3",
  `Error: trying to reuse blob sha256:c980d0ddd3c3 at destination: ${text}`
]
const ping = 'pinging container registry r.example:5000: Get "https://r.example:5000/v2/": '

describe("what podman says of an image registry", () => {
  it.each([
    [
      tags(`${ping}dial tcp 10.0.0.1:5000: connect: connection refused`),
      "ImageRegistryUnreachable",
      "dial tcp 10.0.0.1:5000: connect: connection refused"
    ],
    [
      pushing(`${ping}dial tcp: lookup r.example: no such host`),
      "ImageRegistryUnreachable",
      "dial tcp: lookup r.example: no such host"
    ],
    [
      tags(`${ping}x509: certificate signed by unknown authority`),
      "ImageRegistryUntrusted",
      "x509: certificate signed by unknown authority"
    ],
    [
      pushing(`${ping}http: server gave HTTP response to HTTPS client`),
      "ImageRegistryUntrusted",
      "http: server gave HTTP response to HTTPS client"
    ],
    [
      tags("unable to retrieve auth token: invalid username/password: unauthorized: authentication required"),
      "ImageRegistryUnauthorized",
      "invalid username/password: unauthorized: authentication required"
    ],
    [
      pushing(
        "checking whether a blob sha256:c980d0ddd3c3 exists in r.example:5000/shop/web: unauthorized: authentication required"
      ),
      "ImageRegistryUnauthorized",
      "unauthorized: authentication required"
    ],
    [
      tags("fetching tags list: invalid status code from registry 500 (Internal Server Error)"),
      "ImageRegistryFailed",
      "invalid status code from registry 500 (Internal Server Error)"
    ]
  ] as const)("%#: %s", (lines, tag, why) => {
    const error = registryError(errorOf(lines), reference)
    assert.deepInclude({ ...error }, { _tag: tag, registry: "r.example:5000", why })
  })

  it("is told of the registry of a base image, not of the one that the image is for", () => {
    const error =
      "Error: creating build container: initializing source docker://base.example/os:1: reading manifest 1 in base.example/os: unauthorized: authentication required"
    assert.deepInclude({ ...registryError(error, reference) }, { registry: "base.example", image: "base.example/os:1" })
  })

  it("quotes nothing of a file of credentials that it cannot read", () => {
    const error = tags(
      'failed to create client: getting username and password: 1 error occurred:\n\t* reading JSON file "/home/me/auth.json": unmarshaling JSON at "/home/me/auth.json": invalid character \'s\' looking for beginning of value'
    )
    const { message = "" } = registryError(errorOf(error), reference) ?? {}
    assert.match(message, /the file of credentials \/home\/me\/auth\.json is no JSON/)
    assert.notInclude(message, "invalid character")
  })

  it("is no failure when nothing was ever pushed there", () => {
    const unknown = tags("fetching tags list: invalid status code from registry 404 (Not Found)")
    assert.isTrue(isUnknownRepository(errorOf(unknown)))
    assert.isFalse(isUnknownRepository(errorOf(tags(`${ping}dial tcp: lookup r.example: no such host`))))
  })
})

describe("what podman says of a build", () => {
  it("is the step and how it failed, and what that step wrote", () => {
    const lines = [
      "STEP 1/2: FROM scratch",
      "STEP 2/2: RUN make",
      "cc: not found",
      'time="2026-11-26T21:39:58Z" level=error msg="error unmounting container"',
      'Error: building at STEP "RUN make": while running runtime: exit status 2'
    ]
    assert.strictEqual(buildReason(errorOf(lines)), "exit status 2 at the step RUN make")
    assert.deepStrictEqual(lastStep(lines), ["cc: not found"])
  })

  it("is shortened where a step goes on and on", () => {
    const step = `RUN ${"a && ".repeat(100)}b`
    assert.isBelow(buildReason(`Error: building at STEP "${step}": while running runtime: exit status 2`).length, 180)
  })
})
