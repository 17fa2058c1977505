import type { HostFiles } from './host-files.js'

/** A cgroup hierarchy as this process sees it. */
export interface CgroupHierarchy {
  version: 1 | 2
  /** Folders from this process's own group up to the top one that is visible, nearest first. */
  groups: string[]
}

interface Mount {
  /** The group that is shown at the mount point. */
  root: string
  point: string
}

/**
 * The hierarchy that controls `controller` for this process (cgroups(7)): version 1 where it is mounted there, else the
 * unified one. `undefined` where neither is mounted.
 */
export function findCgroup(files: HostFiles, controller: string): CgroupHierarchy | undefined {
  const mounts = files.text('/proc/self/mountinfo') ?? ''
  const memberships = files.text('/proc/self/cgroup') ?? ''
  const v1 = findMount(mounts, 'cgroup', controller)
  const mount = v1 ?? findMount(mounts, 'cgroup2', undefined)
  if (mount === undefined) return undefined
  const path = membership(memberships, v1 === undefined ? undefined : controller)
  return { version: v1 === undefined ? 2 : 1, groups: groupsUpwards(mount, path) }
}

function findMount(mountinfo: string, type: string, controller: string | undefined): Mount | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root = '', point = ''] = before.split(' ')
    const [mountedType, , superOptions = ''] = after.split(' ')
    if (mountedType !== type) continue
    if (controller === undefined || superOptions.split(',').includes(controller)) {
      return { root: unescapeOctal(root), point: unescapeOctal(point) }
    }
  }
  return undefined
}

/** Path of the own group; `controller` undefined: in the unified hierarchy. */
function membership(text: string, controller: string | undefined): string {
  for (const line of text.split('\n')) {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    if (match === null) continue
    const [, names = '', path = '/'] = match
    if (controller === undefined ? names === '' : names.split(',').includes(controller)) return path
  }
  return '/'
}

/** A path outside what is mounted (another cgroup namespace) leaves the mount's top group. */
function groupsUpwards({ root, point }: Mount, path: string): string[] {
  const prefix = root === '/' ? '' : root
  const inside = path === root || path.startsWith(`${prefix}/`) ? path.slice(prefix.length) : ''
  const parts = inside.split('/').filter(part => part !== '')
  if (parts.includes('..')) return [point]
  return Array.from({ length: parts.length + 1 }, (_, up) => [point, ...parts.slice(0, parts.length - up)].join('/'))
}

function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)))
}
