import { assert, describe, it } from "@effect/vitest"
import { FastCheck as fc } from "effect"
import { isMap, isScalar, isSeq, LineCounter, parseDocument, stringify } from "yaml"
import { leftOut } from "../../src/compose/leftOut.ts"
import { placeId } from "../../src/compose/Report.ts"
import { bad, FILE, type Files, good } from "./support.ts"

interface Key {
  readonly path: string
  readonly place: string
  readonly above: ReadonlyArray<string>
}

/** Every key of a text with its place, and every value; each with all that it is in. By the YAML library alone. */
const partsOf = (text: string) => {
  const lines = new LineCounter()
  const keys: Array<Key> = []
  const values: Array<{ readonly text: string; readonly above: ReadonlyArray<string> }> = []
  const idOf = (offset: number) => {
    const { col, line } = lines.linePos(offset)
    return placeId({ file: FILE, line, column: col })
  }
  const visit = (node: unknown, path: string, above: ReadonlyArray<string>) => {
    // An item of a list may be listed by itself; a map is where its first key is, which says nothing of the others.
    const listable = isScalar(node) || (isMap(node) && path.endsWith("[]"))
    const here = listable ? [...above, idOf(node.range?.[0] ?? 0)] : above
    if (isScalar(node)) values.push({ text: String(node.value), above: here })
    if (isSeq(node)) for (const item of node.items) visit(item, `${path}[]`, here)
    if (!isMap(node)) return
    for (const { key, value } of node.items) {
      if (!isScalar(key)) continue
      const place = idOf(key.range?.[0] ?? 0)
      keys.push({ path: `${path}.${key.value}`, place, above: here })
      visit(value, `${path}.${key.value}`, [...here, place])
    }
  }
  visit(parseDocument(text, { lineCounter: lines }).contents, "", [])
  return { keys, values }
}

/** What is neither gone into nor below what is listed. */
const forgotten = (text: string, files: Files = {}): ReadonlyArray<string> => {
  const { items, visited } = good({ [FILE]: text, ...files }, { profiles: ["*"] })
  const listed = new Set(items.filter(({ outcome }) => outcome === "left_out").map(({ place }) => placeId(place)))
  return partsOf(text)
    .keys.filter(
      ({ above, place }) => !visited.has(place) && !listed.has(place) && !above.some((one) => listed.has(one))
    )
    .map(({ path }) => path)
}

// Each value is one that stands nowhere else, so that it can be looked for in the definition.
let marks = 0
const mark = fc.constant(null).map(() => `mark${marks++}`)
const word = fc.stringMatching(/^[a-z][a-z0-9]{1,8}$/)
const port = fc.constant(null).map(() => 10_000 + (marks++ % 50_000))
const unknownKeys = fc.dictionary(
  word.map((key) => `zz${key}`),
  mark,
  { maxKeys: 2 }
)
const optional = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
const listOrMap = fc.oneof(
  fc.dictionary(word, mark, { maxKeys: 4 }),
  fc
    .uniqueArray(fc.tuple(word, mark), { selector: ([key]) => key, maxLength: 4 })
    .map((all) => all.map(([key, value]) => `${key}=${value}`))
)
const seconds = fc.integer({ min: 1, max: 500 }).map((n) => `${n}s`)

const volume = fc.oneof(
  mark.map((name) => `./${name}:/mnt/${name}`),
  mark.map((name) => `/host/${name}:/mnt/${name}:ro,z`),
  mark.map((name) => `data:/mnt/${name}`),
  mark.map((name) => `/mnt/${name}`),
  fc.record({
    type: fc.constantFrom("bind", "volume", "tmpfs"),
    source: fc.constantFrom("data"),
    target: mark.map((name) => `/mnt/${name}`),
    read_only: fc.boolean(),
    bind: fc.constant({ propagation: "rshared" }),
    volume: fc.constant({ nocopy: true })
  })
)
const published = fc.oneof(
  port.map((host) => `${host}:80`),
  port.map((host) => `127.0.0.1:${host}:53/udp`),
  port.map((target) => ({ target, published: String(target), mode: "host", name: "n" })),
  port
)
const service = fc.record(
  {
    image: mark.map((name) => `example/${name}:1`),
    build: optional(fc.record({ context: fc.constant("."), args: fc.constant({ A: 1 }), target: fc.constant("t") })),
    ports: optional(fc.array(published, { maxLength: 3 })),
    volumes: optional(fc.array(volume, { maxLength: 3 })),
    environment: optional(listOrMap),
    command: optional(
      fc.oneof(
        fc.array(mark),
        fc.array(mark).map((words) => words.join(" "))
      )
    ),
    entrypoint: optional(fc.array(mark)),
    user: optional(fc.constantFrom("1000", "app:app")),
    restart: optional(fc.constantFrom("no", "always", "unless-stopped", "on-failure:3")),
    healthcheck: optional(
      fc.record(
        {
          test: fc.oneof(
            mark,
            mark.map((name) => ["CMD", name]),
            fc.constant(["NONE"])
          ),
          interval: seconds,
          timeout: seconds,
          retries: fc.integer({ min: 1, max: 9 }),
          start_period: seconds,
          start_interval: seconds
        },
        { requiredKeys: [] }
      )
    ),
    deploy: optional(
      fc.record(
        {
          replicas: fc.integer({ min: 0, max: 3 }),
          resources: fc.constantFrom(
            { limits: { cpus: "0.5", memory: "64M", pids: 1 } },
            { reservations: { cpus: "1" } }
          ),
          restart_policy: fc.record({
            condition: fc.constantFrom("any", "on-failure", "none"),
            max_attempts: fc.constant(3)
          }),
          update_config: fc.record({ order: fc.constantFrom("start-first", "stop-first"), delay: seconds }),
          placement: fc.constant({ constraints: ["a==b"] })
        },
        { requiredKeys: [] }
      )
    ),
    networks: optional(fc.constantFrom(["back"], { back: { aliases: ["x"] }, edge: null }, ["edge"])),
    network_mode: optional(fc.constantFrom("host", "none", "bridge", "other")),
    secrets: optional(fc.constantFrom(["key"], [{ source: "key", target: "k", mode: 0o400 }])),
    configs: optional(fc.constantFrom(["conf"], [{ source: "inline", target: "/x", uid: "1" }])),
    labels: optional(listOrMap),
    logging: optional(fc.record({ driver: mark, options: fc.dictionary(word, mark) })),
    stop_grace_period: optional(seconds),
    profiles: optional(fc.constant(["p"])),
    "x-own": optional(mark)
  },
  { noNullPrototype: true }
)
const rest = fc.dictionary(fc.constantFrom(...Object.keys(leftOut).filter((key) => key !== "scale")), mark, {
  maxKeys: 3
})
const file = fc.record({
  version: optional(fc.constant("3")),
  "x-top": optional(mark),
  ...{
    services: fc.dictionary(
      word,
      fc.tuple(service, rest, unknownKeys).map((all) => Object.assign({}, ...[...all].reverse())),
      { minKeys: 1, maxKeys: 3 }
    )
  },
  volumes: fc.constantFrom(
    { data: null },
    { data: { driver: "local", driver_opts: { type: "nfs" } }, unused: { name: "x" } }
  ),
  networks: fc.constantFrom(
    { back: null, edge: { external: true, name: "outer" } },
    { back: { ipam: { config: [] } }, edge: { external: { name: "x" } } }
  ),
  secrets: fc.constantFrom({ key: { file: "./key" } }, { key: { environment: "KEY" }, unused: { external: true } }),
  configs: fc.constantFrom({ conf: { file: "./conf" }, inline: { content: "x" } }),
  zzunknown: optional(mark)
})

describe("every key of a compose file", () => {
  it("is carried over or listed, whatever the file holds", () => {
    let looked = 0
    fc.assert(
      fc.property(file, (value) => {
        // Without undefined, and without anchors for what is the same.
        const text = stringify(JSON.parse(JSON.stringify(value)), { aliasDuplicateObjects: false })
        assert.deepStrictEqual(forgotten(text), [], text)
        // And what is not listed is there in the definition.
        const { items, text: definition } = good(text, { profiles: ["*"] })
        const listed = new Set(items.filter(({ outcome }) => outcome === "left_out").map(({ place }) => placeId(place)))
        for (const { above, text: value } of partsOf(text).values) {
          const [found] = /mark\d+/.exec(value) ?? []
          if (found === undefined || above.some((place) => listed.has(place))) continue
          looked++
          assert.include(definition, found, `${text}\n${definition}`)
        }
      }),
      { numRuns: 150 }
    )
    assert.isAbove(looked, 300)
  })

  it("that compose has for a service is known", () => {
    // The keys of compose's specification.
    const keys =
      "annotations attach build blkio_config cpu_count cpu_percent cpu_shares cpu_period cpu_quota cpu_rt_runtime cpu_rt_period cpus cpuset cap_add cap_drop cgroup cgroup_parent command configs container_name credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname driver_opts entrypoint env_file environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init ipc isolation labels label_file links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit models network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop privileged profiles provider pull_policy read_only restart runtime scale secrets security_opt shm_size stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts volumes volumes_from working_dir"
    const unknown = keys.split(" ").filter((key) => {
      const text = `services: { web: { image: a:1, restart: always, ${key}: } }`.replace(/, (image|restart):(?= })/, "")
      const problems = bad(text)
      return (problems.length > 0 ? problems : good(text).lines).some((line) => line.includes("no key that MCP knows"))
    })
    assert.deepStrictEqual(unknown, [])
  })
})
