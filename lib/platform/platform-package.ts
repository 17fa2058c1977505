/** The npm package that carries the addon and ONNX Runtime's library, built for this machine. */
import { createRequire } from 'node:module'
import { dirname } from 'node:path'

const requireFrom = createRequire(import.meta.url)

export const PLATFORM_PACKAGE = `@edge-infer/${process.platform}-${process.arch}`

export interface PlatformPackage {
  directory: string
  /** Path of its addon. */
  addon: string
  version: string
}

/** Undefined where it is not installed. */
export function findPlatformPackage(): PlatformPackage | undefined {
  try {
    const { version } = requireFrom(`${PLATFORM_PACKAGE}/package.json`) as { version: string }
    const addon = requireFrom.resolve(PLATFORM_PACKAGE)
    return { directory: dirname(addon), addon, version }
  } catch {
    return undefined
  }
}
