/** One file by HTTP(S), through the proxy that the environment names. */
import { getProxyForUrl } from 'proxy-from-env'
import { Agent, fetch, Pool, ProxyAgent } from 'undici'
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
  const options = { headersTimeout: IDLE_TIMEOUT_MS, bodyTimeout: IDLE_TIMEOUT_MS }
  // Asked of each origin: a redirection may lead to one that has another proxy, or none.
  const dispatcher = new Agent({
    factory(origin) {
      const uri = getProxyForUrl(String(origin))
      return uri === '' ? new Pool(origin, options) : new ProxyAgent({ ...options, uri })
    },
  })
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
