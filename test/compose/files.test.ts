import { assert, describe, it } from "@effect/vitest"
import { bad, FILE, good } from "./support.ts"

const image = "image: a:1, restart: always"
const component = (result: ReturnType<typeof good>, name = "web") =>
  (result.definition.components as ReadonlyArray<Record<string, unknown>>).find((each) => each.name === name)

describe("anchors and merge keys", () => {
  it("are carried out: own keys win, then the first that is merged", () => {
    const text = `
x-a: &a { image: a:1, restart: always, user: "1" }
x-b: &b { user: "2", environment: &env { A: 1 } }
services:
  web:
    <<: [*a, *b]
    image: own:1
  db:
    <<: *a
    environment: { <<: *env, B: 2 }
`
    assert.deepStrictEqual(component(good(text)), {
      ...{ name: "web", image: "own:1", user: "1", restart: "always", env: { A: "1" } }
    })
    assert.deepInclude(component(good(text), "db"), { image: "a:1", env: { A: "1", B: "2" } })
  })
})

describe("extends", () => {
  it("takes over a service of the file: maps are merged, lists appended, commands replaced", () => {
    const text = `
services:
  base:
    image: a:1
    restart: always
    command: [one, two]
    ports: ["80:80"]
    environment: [A=1, B=1]
    volumes: ["/a:/x", "/b:/y"]
  web:
    extends: { service: base }
    command: three
    ports: ["81:81"]
    environment: { B: 2 }
    volumes: ["/c:/x:ro"]
`
    assert.deepStrictEqual(component(good(text.replace('"80:80"', ""))), {
      ...{ name: "web", image: "a:1", restart: "always", cmd: ["three"], ports: ["81:81"] },
      ...{ env: { A: "1", B: "2" }, volumes: ["/c:/x:ro", "/b:/y"] }
    })
  })

  it("takes over one of another file, whose paths are that file's", () => {
    const files = {
      [FILE]: `services: { web: { extends: { file: common/base.yaml, service: middle } } }`,
      "shop/common/base.yaml": `services:
  base: { ${image}, volumes: ["./data:/data"], env_file: one.env }
  middle: { extends: base, user: "1" }`,
      "shop/common/one.env": "A=1"
    }
    const result = good(files)
    assert.deepInclude(component(result), { user: "1", volumes: ["/srv/shop/common/data:/data"], env: { A: "1" } })
    assert.match(result.lines.join("\n"), /^shop\/common\/base.yaml:2:\d+: services.web.volumes/m)
  })

  it("of what is not there is told with its place", () => {
    assert.match(
      bad(`services: { web: { ${image}, extends: bsae }, base: { ${image} } }`)[0] ?? "",
      /:1:58: services.web.extends: there is no service bsae in shop\/compose.yaml; did you mean base\?/
    )
    const missing = `services: { web: { ${image}, extends: { file: x.yaml, service: a } } }`
    assert.match(bad(missing)[0] ?? "", /:1:\d+: services.web.extends: there is no file shop\/x.yaml/)
    assert.match(bad({ [FILE]: missing, "shop/x.yaml": "a: [" })[0] ?? "", /^shop\/x.yaml:1:\d+: not YAML/)
  })
})

describe("several files", () => {
  it("are laid over each other, with !reset and !override", () => {
    const files = {
      [FILE]: `services: { web: { ${image}, ports: ["80:80"], user: "1", labels: { a: 1 } }, gone: { ${image} } }`,
      "shop/prod.yaml": `services:
  web: { image: "a:2", ports: !override ["81:80"], user: !reset null, labels: !reset [] }
  gone: !reset null
  more: { ${image} }`
    }
    const result = good(files, { files: [FILE, "shop/prod.yaml"] })
    assert.deepStrictEqual(component(result), { name: "web", image: "a:2", restart: "always", ports: ["81:80"] })
    assert.deepStrictEqual(result.components, ["web", "more"])
    assert.deepStrictEqual(result.outcomes, [])
  })

  it("that compose would take in by itself are told", () => {
    const files = { [FILE]: `services: { web: { ${image} } }`, "shop/compose.override.yml": "" }
    assert.match(good(files).lines[0] ?? "", /shop\/compose.override.yml lies beside it and is not read/)
  })

  it("may be included, with a .env of their own", () => {
    const files = {
      [FILE]: `include: [db/compose.yaml, { path: [cache.yaml], env_file: cache.env }]\nservices: { web: { ${image}, depends_on: [db, cache] } }`,
      "shop/db/compose.yaml": `services: { db: { image: "db:\${TAG}", restart: always, volumes: ["./data:/data", "v:/v"] } }\nvolumes: { v: }`,
      "shop/db/.env": "TAG=5",
      "shop/cache.yaml": `name: x\nservices: { cache: { image: "cache:\${TAG}", restart: always } }`,
      "shop/cache.env": "TAG=7"
    }
    const result = good(files)
    assert.deepStrictEqual(component(result, "db"), {
      ...{ name: "db", image: "db:5", restart: "always", volumes: ["/srv/shop/db/data:/data", "/srv/shop/v:/v"] }
    })
    assert.deepInclude(component(result, "cache"), { image: "cache:7" })
    assert.deepInclude(component(result), { depends_on: ["db", "cache"] })
    const twice = { ...files, "shop/cache.yaml": `services: { web: { ${image} } }` }
    assert.match(bad(twice)[0] ?? "", /^shop\/cache.yaml:1:13: services.web: stands in shop\/compose.yaml:2 as well/)
    assert.match(bad(`include: ["https://x/y.yaml"]\nservices: { web: { ${image} } }`)[0] ?? "", /not on this machine/)
  })
})
