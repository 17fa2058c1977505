/** The answer of `/nodes` where there is no cluster: a cloud of this node alone. */
import type { AddressInfo, Server } from 'node:net'
import { LocalStatus } from '../cluster/local-status.js'
import type { Sampler } from '../node/index.js'
import type { WorkerService } from '../workers/types.js'

export interface OwnNode {
  ip: string
  workers: WorkerService
  sampler: Sampler
}

export function ownNodesJson({ ip, workers, sampler }: OwnNode, server: Server): () => string {
  const status = new LocalStatus(sampler, workers)
  return () => {
    const { port } = server.address() as AddressInfo
    const id = `${ip}:${port}`
    const host = ip.includes(':') ? `[${ip}]` : ip
    const address = { id, key: ip, ip, port, url: `http://${host}:${port}` }
    const standing = { role: 'cloud', kind: 'self', interval_ms: null, age_ms: 0, lost: false }
    return JSON.stringify({ role: 'cloud', nodes: [{ ...address, ...standing, ...status.read() }] })
  }
}
