import { isIP } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import { Either, FastCheck as fc, Schema } from "effect"
import {
  AuthorityName,
  altNames,
  authorityValidity,
  CertificateName,
  certificateValidity,
  parseAltName
} from "../../src/domain/Certificates.ts"

const right = (text: string) => Either.getOrThrow(parseAltName(text))
const why = (text: string) => Either.getOrElse(Either.flip(parseAltName(text)), () => "")

describe("an address of a certificate", () => {
  it("is an IP address by its form, in one spelling", () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        fc.pre(Either.isRight(parseAltName(text)))
        const { type, value } = right(text)
        assert.strictEqual(type, "ip")
        assert.isAbove(isIP(value), 0)
        assert.deepStrictEqual(right(value), { type, value })
      })
    )
    assert.deepStrictEqual(right("FD00:0::1"), { type: "ip", value: "fd00::1" })
  })

  it("or a host name, in lower case", () => {
    fc.assert(
      fc.property(fc.domain(), (text) => {
        assert.deepStrictEqual(right(text), { type: "dns", value: text.toLowerCase() })
      })
    )
    assert.deepStrictEqual(right("Rift"), { type: "dns", value: "rift" })
    assert.deepStrictEqual(right("rift.example.net."), { type: "dns", value: "rift.example.net" })
  })

  it("and nothing else, which is said why", () => {
    assert.match(why("10.0.0.1:9444"), /port/)
    assert.match(why("rift:9444"), /port/)
    assert.match(why("[fd00::1]:9444"), /port/)
    assert.match(why("https://rift"), /URL/)
    assert.match(why("*.example.net"), /wildcard/)
    assert.match(why("10.0.0.300"), /looks like an IP address/)
    assert.match(why("fe80::1%eth0"), /zone/)
    for (const all of ["0.0.0.0", "::", "0:0::0"]) assert.match(why(all), /every address/)
    for (const odd of ["", " ", "a b", "-rift", "rift-", "a..b", "a/b", `${"a".repeat(64)}.net`, "rift\n", "--dir"]) {
      assert.isNotEmpty(why(odd), odd)
    }
  })

  it("is taken once", () => {
    assert.deepStrictEqual(
      altNames(["RIFT", "10.0.0.1", "rift.", "FD00::1", "fd00:0::1"]).map((n) => n.value),
      ["rift", "10.0.0.1", "fd00::1"]
    )
  })
})

describe("a name", () => {
  const ok = Schema.is(CertificateName)
  it("of a certificate is fit for a file, and never the authority's", () => {
    for (const good of ["rift", "Rift-2", "mcias.example.net", "a"]) assert.isTrue(ok(good), good)
    for (const bad of ["", "ca", "CA", "../x", "a/b", ".x", "x.", "a..b", "-f", "a b", "x".repeat(64), "x\n"]) {
      assert.isFalse(ok(bad), bad)
    }
  })
  it("of an authority is printable", () => {
    const fits = Schema.is(AuthorityName)
    for (const good of ["MCP CA", "Küche", "O=x, CN=y", "x".repeat(64)]) assert.isTrue(fits(good), good)
    for (const bad of ["", " x", "x ", "-x", "#30", "a\nb", "a\u001b[2J", 'a"b"', "a\\b", "x".repeat(65)])
      assert.isFalse(fits(bad), bad)
  })
})

it("a certificate is valid only while its authority is", () => {
  const time = fc.integer({ min: 0, max: 4_000_000_000_000 })
  fc.assert(
    fc.property(time, fc.integer({ min: 0, max: 3650 * 86_400_000 }), (made, later) => {
      const authority = authorityValidity(made)
      const own = certificateValidity(made + later, authority)
      assert.isAtLeast(own.notBefore, authority.notBefore)
      assert.isAtMost(own.notAfter, authority.notAfter)
      assert.isAtMost(own.notBefore, made + later)
    })
  )
})
