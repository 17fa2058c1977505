import { networkInterfaces } from 'node:os'
import { HostFiles } from './host-files.js'

const LOOPBACK = '127.0.0.1'

/** IPv4 addresses others may reach this machine at; those of the interface with the default route come first. */
export function hostAddresses(): string[] {
  const first = defaultRouteInterface(new HostFiles())
  return Object.entries(networkInterfaces())
    .flatMap(([name, addresses = []]) => addresses.map(address => ({ name, ...address })))
    .filter(({ family, internal }) => family === 'IPv4' && !internal)
    .sort((a, b) => Number(b.name === first) - Number(a.name === first))
    .map(({ address }) => address)
}

/** The address a node gives others where it was not told one; the loopback address where it has no other. */
export function defaultAdvertiseAddress(): string {
  return hostAddresses()[0] ?? LOOPBACK
}

/** Name of the interface whose route in `/proc/net/route` leads anywhere, the lowest metric first. */
export function defaultRouteInterface(files: HostFiles): string | undefined {
  const lines = files.text('/proc/net/route')?.split('\n').slice(1) ?? []
  return lines
    .map(line => line.trim().split(/\s+/))
    .filter(fields => fields[1] === '00000000' && fields[7] === '00000000')
    .sort((a, b) => Number(a[6]) - Number(b[6]))[0]?.[0]
}
