import { type DescExtension, type DescFile, type DescMessage, type DescService, toBinary } from "@bufbuild/protobuf"
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt"
import { Stream } from "effect"
import { type ServerReflectionRequest, ServerReflection as V1 } from "../gen/grpc/reflection/v1/reflection_pb.ts"
import {
  type ServerReflectionRequest as AlphaRequest,
  ServerReflection as V1Alpha
} from "../gen/grpc/reflection/v1alpha/reflection_pb.ts"
import { type GrpcService, service } from "./service.ts"
import { Code } from "./status.ts"

// Written as plain values, which fit both versions: they differ in their package alone.
type Response =
  | { case: "fileDescriptorResponse"; value: { fileDescriptorProto: Array<Uint8Array> } }
  | { case: "allExtensionNumbersResponse"; value: { baseTypeName: string; extensionNumber: Array<number> } }
  | { case: "listServicesResponse"; value: { service: Array<{ name: string }> } }
  | { case: "errorResponse"; value: { errorCode: number; errorMessage: string } }

type Question = ServerReflectionRequest["messageRequest"] | AlphaRequest["messageRequest"]

interface Index {
  readonly files: Map<string, DescFile>
  readonly symbols: Map<string, DescFile>
  readonly extensions: Map<string, Map<number, DescExtension>>
}

const index = (services: ReadonlyArray<DescService>): Index => {
  const files = new Map<string, DescFile>()
  const symbols = new Map<string, DescFile>()
  const extensions: Index["extensions"] = new Map()
  const addExtension = (extension: DescExtension) => {
    symbols.set(extension.typeName, extension.file)
    const known = extensions.get(extension.extendee.typeName) ?? new Map()
    extensions.set(extension.extendee.typeName, known.set(extension.number, extension))
  }
  const addMessage = (message: DescMessage) => {
    symbols.set(message.typeName, message.file)
    for (const field of message.fields) symbols.set(`${message.typeName}.${field.name}`, message.file)
    for (const nested of message.nestedMessages) addMessage(nested)
    for (const nested of message.nestedEnums) symbols.set(nested.typeName, nested.file)
    for (const nested of message.nestedExtensions) addExtension(nested)
  }
  const addFile = (file: DescFile) => {
    if (files.has(file.proto.name)) return
    files.set(file.proto.name, file)
    for (const message of file.messages) addMessage(message)
    for (const each of file.enums) symbols.set(each.typeName, file)
    for (const extension of file.extensions) addExtension(extension)
    for (const each of file.services) {
      symbols.set(each.typeName, file)
      for (const method of each.methods) symbols.set(`${each.typeName}.${method.name}`, file)
    }
    for (const dependency of file.dependencies) addFile(dependency)
  }
  for (const each of services) addFile(each.file)
  return { files, symbols, extensions }
}

const withDependencies = (file: DescFile, seen = new Set<DescFile>()): Set<DescFile> => {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const dependency of file.dependencies) withDependencies(dependency, seen)
  return seen
}

const descriptors = (file: DescFile | undefined, asked: string): Response =>
  file === undefined
    ? { case: "errorResponse", value: { errorCode: Code.NOT_FOUND, errorMessage: `not found: ${asked}` } }
    : {
        case: "fileDescriptorResponse",
        value: {
          fileDescriptorProto: [...withDependencies(file)].map((each) =>
            toBinary(FileDescriptorProtoSchema, each.proto)
          )
        }
      }

const answer = ({ extensions, files, symbols }: Index, names: ReadonlyArray<string>, request: Question): Response => {
  switch (request.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: names.map((name) => ({ name })) } }
    case "fileByFilename":
      return descriptors(files.get(request.value), request.value)
    case "fileContainingSymbol":
      return descriptors(symbols.get(request.value), request.value)
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = request.value
      const extension = extensions.get(containingType)?.get(extensionNumber)
      return descriptors(extension?.file, `extension ${extensionNumber} of ${containingType}`)
    }
    case "allExtensionNumbersOfType":
      return symbols.has(request.value)
        ? {
            case: "allExtensionNumbersResponse",
            value: { baseTypeName: request.value, extensionNumber: [...(extensions.get(request.value)?.keys() ?? [])] }
          }
        : descriptors(undefined, request.value)
    case undefined:
      return { case: "errorResponse", value: { errorCode: Code.INVALID_ARGUMENT, errorMessage: "nothing was asked" } }
  }
}

/** Server reflection, v1 and v1alpha, over the services given and itself: what grpcurl asks first. */
export const make = (
  services: ReadonlyArray<Pick<GrpcService<unknown>, "descriptor">>
): ReadonlyArray<GrpcService<never>> => {
  const described = [...services.flatMap((each) => each.descriptor ?? []), V1, V1Alpha]
  const names = described.map((each) => each.typeName).sort()
  let built: Index | undefined
  const respond = (question: Question) => {
    built ??= index(described)
    return answer(built, names, question)
  }
  return [
    service(V1, {
      serverReflectionInfo: (requests) =>
        Stream.map(requests, (request) => ({
          validHost: request.host,
          originalRequest: request,
          messageResponse: respond(request.messageRequest)
        }))
    }),
    service(V1Alpha, {
      serverReflectionInfo: (requests) =>
        Stream.map(requests, (request) => ({
          validHost: request.host,
          originalRequest: request,
          messageResponse: respond(request.messageRequest)
        }))
    })
  ]
}
