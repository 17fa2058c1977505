/** One node, every documented route. */
import type { Deadline } from './deadline.js'
import { ClusterClient, type ClusterOptions } from './cluster.js'
import { checkOptions, type ClientOptions } from './options.js'
import type { Reply } from './reply.js'
import { TaskClient, type CallOptions, type TaskReply } from './task-client.js'
import { Transport, type WireRequest } from './transport.js'
import type {
  ClusterInfo, ClusterView, CreateReply, DecreaseReply, ExecuteUrls, LimitReply, ModelCtx, ResourceLimits, SystemStatus,
  TaskName,
} from './types.js'

/**
 * A node of edge-infer, over HTTP. Needs no native code.
 *
 *     await using client = new EdgeInferClient('http://192.168.1.20:5500')
 *     const { bbox, prob } = await client.executeTask('face_detection', { image: { path: 'photo.jpg' } })
 *
 * The client retries up to `retries` times within the call's `timeoutMs`: tasks and GET routes when the connection was
 * refused or broke, and tasks that met QUEUE_FULL, after the node's `Retry-After`. A task is pure computation: running
 * it twice harms nobody. Control routes (add, decrease, limit) are sent once; `getClusterInfo` tells whether one that
 * got no answer took effect. TIMEOUT, ABORTED and every other error are final.
 */
export class EdgeInferClient extends TaskClient {
  readonly #transport: Transport

  /** @throws EdgeInferError BAD_OPTION. */
  constructor(url: string | URL, options: ClientOptions = {}) {
    const settings = checkOptions(options)
    super(settings)
    this.#transport = new Transport(url, settings)
  }

  /**
   * Runs each task on the node a policy picks among those the cloud at `url` knows.
   * @throws EdgeInferError BAD_OPTION.
   */
  static cluster(url: string | URL, options: ClusterOptions = {}): ClusterClient {
    return new ClusterClient(url, options)
  }

  /** Without a trailing slash. */
  get url(): string {
    return this.#transport.url
  }

  /** Tasks that have a live worker anywhere in the cluster. */
  getServiceList(options?: CallOptions): Promise<TaskName[]> {
    return this.#get('/get_service_list', options)
  }

  /** Nodes that have a live worker for the task. @throws EdgeInferError UNKNOWN_TASK. */
  getExecuteUrl(task: TaskName, options?: CallOptions): Promise<ExecuteUrls> {
    return this.#get(`/get_execute_url/${encodeURIComponent(task)}`, options)
  }

  /** What every node is doing, the cloud's and the hosts' apart. */
  getSystemStatus(options?: CallOptions): Promise<SystemStatus> {
    return this.#get('/get_system_status', options)
  }

  /** What every node is doing, with its role. */
  getClusterInfo(options?: CallOptions): Promise<ClusterInfo> {
    return this.#get('/get_cluster_info', options)
  }

  /** Every node that is remembered, the lost ones too, with the age of what is known of it. */
  getNodes(options?: CallOptions): Promise<ClusterView> {
    return this.#get('/nodes', options)
  }

  /** The older name of {@link getSystemStatus}. */
  getResourceInfo(options?: CallOptions): Promise<SystemStatus> {
    return this.#get('/get_resource_info', options)
  }

  /**
   * Starts a worker on this node; answers when it has loaded and warmed its model.
   * @throws EdgeInferError UNKNOWN_TASK, BAD_MODEL_CTX, UNKNOWN_MODEL, MODEL_*, UNAUTHORIZED.
   */
  addWorkProcess(task: TaskName, modelCtx?: ModelCtx, options?: CallOptions): Promise<CreateReply> {
    return this.#control('/add_work_process', { task_name: task, model_ctx: modelCtx }, options)
  }

  /** Ends the task's newest worker when it has finished its request. @throws EdgeInferError LAST_WORKER, NO_WORKER. */
  decreaseWorkProcess(task: TaskName, options?: CallOptions): Promise<DecreaseReply> {
    return this.#control('/decrease_work_process', { task_name: task }, options)
  }

  /** @throws EdgeInferError BAD_LIMIT, LIMIT_TOO_LOW, UNKNOWN_PID, UNKNOWN_TASK, CGROUP_UNAVAILABLE, UNAUTHORIZED. */
  limitProcessResource(
    pid: number, task: TaskName, limits: ResourceLimits, options?: CallOptions,
  ): Promise<LimitReply> {
    return this.#control('/limit_process_resource', { ...limits, pid, task_name: task }, options)
  }

  /** For all the task's workers, and those added later. Errors as in {@link limitProcessResource}. */
  limitTaskResource(task: TaskName, limits: ResourceLimits, options?: CallOptions): Promise<LimitReply> {
    return this.#control('/limit_task_resource', { ...limits, task_name: task }, options)
  }

  /** Whether the server lives; rejects when it does not answer. */
  healthz(options?: CallOptions): Promise<boolean> {
    return this.#check('/healthz', options)
  }

  /** Whether every task has a ready worker and the server is not draining; rejects when it does not answer. */
  readyz(options?: CallOptions): Promise<boolean> {
    return this.#check('/readyz', options)
  }

  protected override async send(_task: TaskName, request: WireRequest, deadline: Deadline): Promise<TaskReply> {
    return { ...await this.#withRetry(request, deadline), hostname: this.#transport.hostname }
  }

  protected override disconnect(): Promise<void> {
    return this.#transport.close()
  }

  #withRetry(request: WireRequest, deadline: Deadline): Promise<Reply> {
    return this.#transport.sendWithRetry(request, deadline, this.settings.retries)
  }

  #get<T extends object>(path: string, options: CallOptions | undefined): Promise<T> {
    return this.run(options, async (deadline) => (await this.#withRetry({ method: 'GET', path }, deadline)).body as T)
  }

  #check(path: string, options: CallOptions | undefined): Promise<boolean> {
    return this.run(options, async (deadline) =>
      (await this.#withRetry({ method: 'GET', path, accept: [503] }, deadline)).status < 400)
  }

  #control<T extends object>(path: string, body: object, options: CallOptions | undefined): Promise<T> {
    const request: WireRequest = {
      method: 'POST',
      path,
      headers: { 'content-type': 'application/json' },
      body: new TextEncoder().encode(JSON.stringify(body)),
    }
    return this.run(options, async (deadline) => (await this.#transport.send(request, deadline)).body as T)
  }
}
