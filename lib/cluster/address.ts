/** Where a node is reached. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { BlockList, isIP } from 'node:net'

export interface NodeAddress {
  ip: string
  port: number
  scheme: 'http' | 'https'
}

/** `ip:port`, as URLs have it: names one node. */
export function idOf({ ip, port }: Pick<NodeAddress, 'ip' | 'port'>): string {
  return `${ip.includes(':') ? `[${ip}]` : ip}:${port}`
}

export function urlOf(address: NodeAddress): string {
  return `${address.scheme}://${idOf(address)}`
}

/** An IPv4 address that came in through a socket of IPv6 (`::ffff:10.0.0.7`) in its own form. */
export function plainIp(ip: string): string {
  const [, mapped] = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip) ?? []
  return mapped ?? ip
}

const LOOPBACK = new BlockList()
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4')
LOOPBACK.addAddress('::1', 'ipv6')

export function isLoopback(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '')
  if (plain === 'localhost') return true
  const version = isIP(plain)
  return version !== 0 && LOOPBACK.check(plain, version === 4 ? 'ipv4' : 'ipv6')
}

/** This machine's address on the way to `url`, by its routes; undefined where none leads there. Nothing is sent. */
export async function addressTowards(url: string): Promise<string | undefined> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4')
  try {
    socket.connect(Number(port) || (protocol === 'https:' ? 443 : 80), host)
    await once(socket, 'connect')
    return plainIp(socket.address().address)
  } catch {
    return undefined
  } finally {
    socket.close()
  }
}
