/** What the options of `edge-infer serve` say of this node's place: its address, its certificate, its cloud. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import { addressTowards, isLoopback, type HostOptions, type NodeAddress } from '../cluster/index.js'
import { EdgeInferError } from '../errors.js'
import { defaultAdvertiseAddress } from '../host/index.js'
import type { ServeConfig } from './config-options.js'

export interface NodePlace {
  /** As others reach this node. */
  ip: string
  scheme: NodeAddress['scheme']
  tls: { cert: string; key: string } | undefined
  /** Of a host. */
  host: HostOptions | undefined
}

const WILDCARDS = ['0.0.0.0', '::']

/** @throws EdgeInferError BAD_OPTION: options that do not go together, files that are no certificates. */
export async function resolvePlace(config: ServeConfig): Promise<NodePlace> {
  const tls = readTls(config)
  const host = hostOptions(config)
  const ip = config.advertise?.ip ?? listenIp(config) ?? (
    host && await addressTowards(host.cloud)
  ) ?? defaultAdvertiseAddress()
  return { ip, scheme: tls ? 'https' : 'http', tls, host }
}

/** The address it listens on, where that is one. */
function listenIp({ host }: ServeConfig): string | undefined {
  if (host === 'localhost') return '127.0.0.1'
  return isIP(host) && !WILDCARDS.includes(host) ? host : undefined
}

function hostOptions(config: ServeConfig): HostOptions | undefined {
  const { role, cloud, cloud_token: cloudToken, token, heartbeat_interval: intervalMs, ca } = config
  if (role === 'cloud') {
    if (cloud !== undefined) throw new EdgeInferError(
      'BAD_OPTION', 'Expected --role host with --cloud: a cloud joins no other',
    )
    return undefined
  }
  if (cloud === undefined) throw new EdgeInferError(
    'BAD_OPTION', 'Expected --cloud with the URL of its cloud for --role host',
  )
  const listens = listenIp(config)
  if (!config.advertise && isLoopback(config.host) && !isLoopback(new URL(cloud).hostname)) {
    const hint = '--host 0.0.0.0 listens for other machines, --advertise names an address that leads here'
    throw new EdgeInferError(
      'BAD_OPTION', `Others of the cluster cannot reach a host that listens on ${config.host}; ${hint}`,
    )
  }
  return {
    cloud,
    token: cloudToken ?? token,
    ca: ca === undefined ? undefined : readPem('--ca', ca),
    intervalMs,
    localAddress: config.advertise ? undefined : listens,
  }
}

function readTls({ tls_cert: cert, tls_key: key }: ServeConfig): NodePlace['tls'] {
  if (cert === undefined && key === undefined) return undefined
  if (cert === undefined || key === undefined) {
    throw new EdgeInferError('BAD_OPTION', 'Expected --tls-cert and --tls-key together but received one of them')
  }
  const pair = { cert: readPem('--tls-cert', cert), key: readPem('--tls-key', key) }
  try {
    createSecureContext(pair)
  } catch (cause) {
    throw new EdgeInferError(
      'BAD_OPTION', `${cert} and ${key} are no certificate and its key: ${(cause as Error).message}`, { cause },
    )
  }
  return pair
}

function readPem(option: string, file: string): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new EdgeInferError(
      'BAD_OPTION', `The file of ${option} cannot be read: ${(cause as Error).message}`, { cause },
    )
  }
  if (text.includes('-----BEGIN ')) return text
  throw new EdgeInferError('BAD_OPTION', `Expected PEM in ${file} (${option}) but it has no "-----BEGIN" line`)
}
