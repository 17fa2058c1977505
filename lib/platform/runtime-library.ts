/** Which ONNX Runtime library belongs to this version, and where one may lie. native.ts loads it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { PACKAGE_ROOT } from './package-root.js'
import { findPlatformPackage, PLATFORM_PACKAGE } from './platform-package.js'

/** The npm package whose tarball holds the library for each architecture; nothing else of it is used. */
export const RUNTIME_PACKAGE = {
  name: 'onnxruntime-node',
  version: '1.30.0',
  /** Of the tarball, as a lock file has it. */
  integrity: 'sha512-twhs1C2C/BFkz1yc5OY0KIU2GUq6DURO7hD4bx5Q2Qy3nAMJwRXW8xU3NVczE29VA9lolLOYepoD8fjTGOfIqw==',
  /** Of the tarball. */
  bytes: 113_507_888,
} as const

export const RUNTIME_ARCHITECTURES = ['x64', 'arm64'] as const
export type RuntimeArchitecture = (typeof RUNTIME_ARCHITECTURES)[number]

export const RUNTIME_LIBRARY = 'libonnxruntime.so.1'

/** Directory that set-up (in a checkout) or `edge-infer build` (in an installed package) puts the library in. */
export function fetchedRuntimeDirectory(architecture: string = process.arch): string {
  return join(PACKAGE_ROOT, '.cache', 'onnxruntime', RUNTIME_PACKAGE.version, `linux-${architecture}`)
}

/** A checkout has a set-up script; an installed package has the command line only. */
export function buildCommand(): string {
  return existsSync(join(PACKAGE_ROOT, 'bin', 'setup')) ? '"npm run setup"' : '"npx edge-infer build"'
}

/** For errors: how to do without the one that is fetched. */
export const OWN_RUNTIME =
  'name one in EDGE_INFER_ORT_LIBRARY: that of a Debian package (Debian 13: libonnxruntime1.21), or ' +
  'of a release unpacked from https://github.com/microsoft/onnxruntime/releases'

export interface RuntimePlace {
  /** In words, for errors and `edge-infer inspect`. */
  source: string
  /** A file, or a name for the system's loader to find; undefined where there can be none. */
  path: string | undefined
}

/** Where to look, in this order. A library that is named, by `option` or the environment, is the only one. */
export function runtimePlaces(option?: string): RuntimePlace[] {
  if (option) return [{ source: 'option runtimeLibrary', path: option }]
  const named = process.env.EDGE_INFER_ORT_LIBRARY
  if (named) return [{ source: 'EDGE_INFER_ORT_LIBRARY', path: named }]
  const platform = findPlatformPackage()
  return [
    { source: `platform package ${PLATFORM_PACKAGE}`, path: platform && join(platform.directory, RUNTIME_LIBRARY) },
    { source: `fetched by ${buildCommand()}`, path: join(fetchedRuntimeDirectory(), RUNTIME_LIBRARY) },
    ...[RUNTIME_LIBRARY, 'libonnxruntime.so'].map((path) => ({ source: "the system's", path })),
  ]
}
