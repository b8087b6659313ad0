import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf"

/**
 * A message that is bytes already. The library copies large fields of nested messages several times over, and collecting
 * that garbage would take longer than all else that a transfer does.
 */
class Encoded {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** It takes a message's place where that is only passed on to be sent. */
export const encoded = <D extends DescMessage>(_of: D, bytes: Uint8Array): MessageInitShape<D> =>
  new Encoded(bytes) as unknown as MessageInitShape<D>

export const binaryOf = (of: DescMessage, message: Record<string, unknown>): Uint8Array =>
  message instanceof Encoded ? message.bytes : toBinary(of, create(of, message))

const varint = (value: number): ReadonlyArray<number> =>
  value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
const LENGTH_DELIMITED = 2

/** A field of bytes, or of a message that is bytes already. */
export const field = (number: number, ...bytes: ReadonlyArray<Uint8Array>): ReadonlyArray<Uint8Array> => {
  const length = bytes.reduce((sum, one) => sum + one.length, 0)
  return [Buffer.from([(number << 3) | LENGTH_DELIMITED, ...varint(length)]), ...bytes]
}
