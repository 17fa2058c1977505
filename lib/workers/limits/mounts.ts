/** Where the control groups of this process are, by what is really mounted. */
import { readOr, type KernelFiles } from './kernel-files.js'

/** `f_type` of a cgroup v2 mount: `CGROUP2_SUPER_MAGIC` of linux/magic.h. */
const CGROUP2_MAGIC = 0x63677270

export interface GroupLocation {
  /** Where the hierarchy is mounted. */
  mountPoint: string
  /** The directory of this process's own group: `mountPoint` or a directory below it. */
  own: string
}

export interface GroupLocations {
  /** v1 hierarchies by controller name, co-mounted ones under each of their names. */
  v1: ReadonlyMap<string, GroupLocation>
  v2: GroupLocation | undefined
}

interface Mount {
  root: string
  mountPoint: string
  type: string
  options: string[]
}

export function locateGroups(files: KernelFiles): GroupLocations {
  const mounts = parseMounts(readOr(files, '/proc/self/mountinfo', ''))
  const v1 = new Map<string, GroupLocation>()
  let v2: GroupLocation | undefined
  for (const { controllers, path } of parseMembership(readOr(files, '/proc/self/cgroup', ''))) {
    if (controllers.length === 0) {
      const unified = mounts.filter((m) => m.type === 'cgroup2' && files.fileSystemType(m.mountPoint) === CGROUP2_MAGIC)
      v2 = locate(unified, path)
    }
    for (const controller of controllers) {
      const location = locate(mounts.filter((m) => m.type === 'cgroup' && m.options.includes(controller)), path)
      if (location) v1.set(controller, location)
    }
  }
  return { v1, v2 }
}

/** The mount through which `path` can be seen: a container's mount shows only what lies below its own root. */
function locate(mounts: Mount[], path: string): GroupLocation | undefined {
  for (const { root, mountPoint } of mounts) {
    const base = root === '/' ? '' : root
    if (path === root || path.startsWith(`${base}/`)) {
      return { mountPoint, own: `${mountPoint}${path.slice(base.length)}`.replace(/\/$/, '') }
    }
  }
  return undefined
}

/** See proc_pid_mountinfo(5): `36 35 98:0 /root /mount rw,noatime master:1 - type source super,options`. */
function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [mount = '', superBlock = ''] = line.split(' - ')
    const [, , , root, mountPoint] = mount.split(' ')
    const [type, , options = ''] = superBlock.split(' ')
    if (root === undefined || mountPoint === undefined || type === undefined) return []
    return [{ root: unescape(root), mountPoint: unescape(mountPoint), type, options: options.split(',') }]
  })
}

function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** See cgroups(7): `4:memory:/path`, and `0::/path` for v2. */
function parseMembership(cgroup: string): { controllers: string[]; path: string }[] {
  return cgroup.split('\n').flatMap((line) => {
    const match = /^\d+:([^:]*):(\/.*)$/.exec(line)
    // A group outside of the namespace's root ('/../..') cannot be reached.
    if (match?.[1] === undefined || match[2] === undefined || match[2].startsWith('/..')) return []
    return [{ controllers: match[1].split(',').filter((name) => name !== ''), path: match[2] }]
  })
}
