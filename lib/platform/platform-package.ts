/** The npm package that carries the addon and ONNX Runtime's library, built for this machine. */
import { dirname } from 'node:path'
import { requireFrom } from './package-root.js'

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
