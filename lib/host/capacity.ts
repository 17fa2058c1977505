/** What this node may use: what CPU affinity and control groups leave of the machine. Utilisations are shares of it. */
export interface NodeCapacity {
  /** Cores whose time it has; a fraction where a container has a CPU quota. */
  cores: number
  /** The kernel's file of the quota that leaves no more cores; absent where none does. */
  quotaFile?: string
  memoryBytes: number
  /** Ids of the CPUs and the memory nodes. */
  cpus: readonly number[]
  memoryNodes: readonly number[]
}

/** What a process is allowed of a machine; absent where nothing says so. */
export interface Allowance {
  quota?: { cores: number; file: string } | undefined
  memoryBytes?: number | undefined
  cpus?: readonly number[] | undefined
}

/** `machine`: ids of the CPUs and memory nodes that are online, and all memory. */
export function capacityOf(
  machine: Pick<NodeCapacity, 'cpus' | 'memoryNodes' | 'memoryBytes'>, allowance: Allowance,
): NodeCapacity {
  const online = machine.cpus.length > 0 ? machine.cpus : [0]
  const allowed = online.filter((cpu) => allowance.cpus?.includes(cpu) ?? true)
  // In a container whose /proc numbers the CPUs anew (lxcfs) the two lists need not meet.
  const cpus = allowed.length > 0 ? allowed : online
  const { quota } = allowance
  return {
    ...(quota && quota.cores < cpus.length
      ? { cores: quota.cores, quotaFile: quota.file }
      : { cores: cpus.length }),
    memoryBytes: Math.min(machine.memoryBytes, allowance.memoryBytes ?? Infinity),
    cpus,
    memoryNodes: machine.memoryNodes,
  }
}
