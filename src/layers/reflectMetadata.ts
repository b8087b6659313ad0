// @peculiar/x509 stands on tsyringe, which refuses to load without these; import this file before it.
const stored = new WeakMap<object, Map<unknown, unknown>>()

const own = (key: unknown, target: object) => stored.get(target)?.get(key)

const inherited = (key: unknown, target: object | null): unknown =>
  target === null ? undefined : (own(key, target) ?? inherited(key, Object.getPrototypeOf(target)))

if (!("getMetadata" in Reflect)) {
  Object.assign(Reflect, {
    defineMetadata: (key: unknown, value: unknown, target: object) => {
      stored.set(target, (stored.get(target) ?? new Map()).set(key, value))
    },
    getOwnMetadata: own,
    getMetadata: inherited
  })
}
