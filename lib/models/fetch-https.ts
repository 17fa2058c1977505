/** One file by HTTP(S), through the proxy that the environment names. */
import { EnvHttpProxyAgent, fetch } from 'undici'
import { AtomicFile } from './atomic-file.js'
import type { CatalogFile } from './types.js'

const IDLE_TIMEOUT_MS = 60_000

export async function fetchFromUrl(
  url: string,
  file: CatalogFile,
  directory: string,
  onProgress: (bytes: number, total: number | undefined) => void,
  signal: AbortSignal | undefined,
): Promise<string> {
  const dispatcher = new EnvHttpProxyAgent({ headersTimeout: IDLE_TIMEOUT_MS, bodyTimeout: IDLE_TIMEOUT_MS })
  try {
    onProgress(0, file.bytes)
    const response = await fetch(url, { dispatcher, signal: signal ?? null, redirect: 'follow' })
    if (!response.ok || response.body === null) {
      await response.body?.cancel()
      throw new Error(`the server answered ${response.status} ${response.statusText}`.trim())
    }
    const sink = await AtomicFile.create(directory, file)
    try {
      let bytes = 0
      await sink.write(response.body, (count) => onProgress((bytes += count), file.bytes))
    } catch (error) {
      await sink.discard()
      throw error
    }
    return await sink.commit()
  } finally {
    await dispatcher.destroy()
  }
}
