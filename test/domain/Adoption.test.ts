import { assert, describe, it } from "@effect/vitest"
import { Either } from "effect"
import { imageName, partOf } from "../../src/domain/Adoption.ts"
import type { Described } from "../../src/domain/Described.ts"

const digest = `docker.io/library/web@sha256:${"ab".repeat(32)}`

const made = (
  change: Partial<Described> = {},
  image = "docker.io/library/web:1",
  ports: ReadonlyArray<string> = []
) => ({
  createdAt: 0,
  entrypoint: ["/entry"],
  cmd: ["serve"],
  env: { PATH: "/bin", MODE: "x" },
  user: "app",
  image: {
    ...{ entrypoint: ["/entry"], cmd: ["serve"], env: { PATH: "/bin", MODE: "default" }, user: "app" },
    ...{ references: ["docker.io/library/web:1"], digests: [digest] }
  },
  networks: ["podman"],
  volumes: [],
  memory: undefined,
  cpus: undefined,
  stopTimeoutMs: 10_000,
  restart: "no",
  health: undefined,
  beyond: [],
  ...change,
  container: { image, ports, labels: {} }
})

const part = (change?: Partial<Described>, ports?: ReadonlyArray<string>) =>
  Either.getOrThrow(partOf("blog", "web", made(change, undefined, ports)))

describe("a component from podman's inspect", () => {
  it("is what was said of the container, less what its image sets", () => {
    const { component } = part()
    assert.deepInclude(component, { entrypoint: [], cmd: [], env: { MODE: "x" } })
    assert.notProperty(component, "user")
    assert.deepInclude(part({ cmd: ["other"] }).component, { entrypoint: [], cmd: ["other"] })
    assert.deepInclude(part({ entrypoint: ["sh"], cmd: [] }).component, { entrypoint: ["sh"], cmd: [] })
    assert.deepInclude(part({ cmd: [] }).component, { entrypoint: ["/entry"], cmd: [] })
    assert.strictEqual(part({ user: "1:1" }).component.user, "1:1")
    const health = { argv: ["/ready"], intervalMs: 5000, timeoutMs: 0, retries: 0, startPeriodMs: 0 }
    assert.deepInclude(part({ health }).component.health, {
      cmd: ["/ready"],
      interval: 5000,
      timeout: 30_000,
      retries: 3
    })
  })

  it("names all that a definition cannot say, and no value of the environment", () => {
    const { component, warnings } = part(
      {
        ...{ beyond: ["privileged"], networks: ["back", "front"], env: { "BAD KEY": "hidden" }, memory: 1024 },
        volumes: [{ source: "/a:b", target: "/c", readOnly: false }]
      },
      ["80:80"]
    )
    assert.deepInclude(component, { network: "back", ports: ["80:80"], volumes: [] })
    const said = warnings.join("\n")
    for (const word of ["privileged", "network front", "variable BAD KEY", "memory limit", "volume /a:b:/c"]) {
      assert.include(said, word)
    }
    assert.notInclude(said, "hidden")
    assert.match(part({ networks: ["slirp4netns"] }).warnings.join(), /network mode slirp4netns/)
    assert.match(part({ networks: ["host"] }, ["80:80"]).warnings.join(), /port 80:80/)
    assert.notProperty(part({ networks: ["mcp-blog"] }).component, "network")
  })

  it("has its image by name while that is its name, else by digest, and is none without either", () => {
    assert.strictEqual(imageName(made()), "docker.io/library/web:1")
    const moved = made({ image: { ...made().image, references: [] } })
    assert.strictEqual(imageName(moved), digest)
    const nameless = made({ image: { ...made().image, references: [], digests: [] } })
    assert.isTrue(Either.isLeft(partOf("blog", "web", nameless)))
  })
})
