/** Where the control groups of this process are, by what is really mounted. */
import type { HostFiles } from '../host-files.js'

/** `f_type` of a cgroup v2 mount: `CGROUP2_SUPER_MAGIC` of linux/magic.h. */
const CGROUP2_MAGIC = 0x63677270

export interface GroupLocation {
  version: 1 | 2
  /** Where the hierarchy is mounted. */
  mountPoint: string
  /** The directory of this process's own group: `mountPoint` or a directory below it. */
  own: string
  /** False where the own group lies outside of what is mounted (another cgroup namespace): `own` is the mount point. */
  visible: boolean
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

export function locateGroups(files: HostFiles): GroupLocations {
  const mounts = parseMounts(files.text('/proc/self/mountinfo') ?? '')
  const v1 = new Map<string, GroupLocation>()
  let v2: GroupLocation | undefined
  for (const { controllers, path } of parseMembership(files.text('/proc/self/cgroup') ?? '')) {
    if (controllers.length === 0) v2 = locate(2, mounts.filter((mount) => isUnified(files, mount)), path)
    for (const controller of controllers) {
      const hierarchy = mounts.filter(({ type, options }) => type === 'cgroup' && options.includes(controller))
      const location = locate(1, hierarchy, path)
      if (location) v1.set(controller, location)
    }
  }
  return { v1, v2 }
}

/** The directory of a group and those above it, up to the mount. */
export function directoriesUp({ mountPoint, own }: GroupLocation): string[] {
  const directories = [own]
  for (let directory = own; directory.length > mountPoint.length;) {
    directory = directory.slice(0, directory.lastIndexOf('/'))
    directories.push(directory)
  }
  return directories
}

/** Another file system may be mounted over the one that mountinfo names. */
function isUnified(files: HostFiles, { type, mountPoint }: Mount): boolean {
  return type === 'cgroup2' && (files.fileSystemType(mountPoint) ?? CGROUP2_MAGIC) === CGROUP2_MAGIC
}

/** The mount through which `path` can be seen: a container's mount shows only what lies below its own root. */
function locate(version: 1 | 2, mounts: readonly Mount[], path: string): GroupLocation | undefined {
  // A group outside of the namespace's root has a path such as '/../other'.
  const inside = path.split('/').includes('..') ? [] : mounts
  for (const { root, mountPoint } of inside) {
    const base = root === '/' ? '' : root
    if (path === root || path.startsWith(`${base}/`)) {
      return { version, mountPoint, own: `${mountPoint}${path.slice(base.length)}`.replace(/\/$/, ''), visible: true }
    }
  }
  const mountPoint = mounts[0]?.mountPoint
  return mountPoint === undefined ? undefined : { version, mountPoint, own: mountPoint, visible: false }
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
    const [, names, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? []
    if (names === undefined || path === undefined) return []
    return [{ controllers: names.split(',').filter((name) => name !== ''), path }]
  })
}
