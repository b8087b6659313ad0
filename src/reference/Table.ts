/** What a value of the encoded side of a Schema is for: a line of text, and for a table one for each key as well. */
export type Described<T> = T extends undefined
  ? never
  : T extends ReadonlyArray<infer E>
    ? E extends object
      ? Table<E>
      : string
    : T extends object
      ? string extends keyof T
        ? string
        : Table<T>
      : string

/** A key without a description does not compile, and neither does one of a key that is gone. */
export interface Table<T> {
  readonly about: string
  readonly keys: { readonly [K in keyof T]-?: Described<T[K]> }
}

/** As a walk sees it. */
export interface AnyTable {
  readonly about: string
  readonly keys: Readonly<Record<string, string | AnyTable>>
}
