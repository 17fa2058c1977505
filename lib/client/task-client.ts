/** The task routes, typed; a subclass chooses the node. */
import { EdgeInferError } from '../errors.js'
import { Deadline } from './deadline.js'
import { checkTimeout, type ClientSettings } from './options.js'
import type { Reply } from './reply.js'
import { encodeTask, type AnyTaskInput } from './task-request.js'
import type { WireRequest } from './transport.js'
import type {
  ListAnswers, ListInputs, MergedAnswers, NewAnswers, OldAnswers, ProcResourceInfo, TaskAnswer, TaskConf, TaskInputs,
  TaskName,
} from './types.js'

export interface CallOptions {
  /** Milliseconds the call may take, its retries included; the client's when absent. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
}

export interface TaskOptions extends CallOptions {
  /** What the stream is set to; put into the answer, the picture's own resolution where none is given. */
  taskConf?: TaskConf | undefined
  /** Whether to answer the frame with its results drawn on it, as `image`; left to the server when absent. */
  render?: boolean | undefined
}

/** The reply to a call, and the node that sent it. */
export interface TaskReply extends Reply {
  hostname: string
}

type Route = 'execute_task' | 'execute_task_new' | 'execute_task_old' | 'concurrent_execute_task_new'

/**
 * Every method rejects with an EdgeInferError: the node's own (`BAD_IMAGE`, `UNKNOWN_TASK`, `QUEUE_FULL`, …; its
 * `details` hold `httpStatus` and the `reply`), or `NODE_UNREACHABLE`, `BAD_REPLY` (no JSON), `TIMEOUT`, `ABORTED`,
 * `TOO_LARGE`, `CLOSED`.
 */
export abstract class TaskClient {
  protected readonly settings: ClientSettings
  readonly #calls = new Set<Promise<unknown>>()
  #closed = false

  protected constructor(settings: ClientSettings) {
    this.settings = settings
  }

  /**
   * Runs a task on one input: the route schedulers use.
   *
   *     const found = await client.executeTask('face_detection', { image: jpeg })
   *     const heads = await client.executeTask('face_alignment', found)
   *
   * Coordinates are pixels of the posted picture; empty results are empty lists.
   */
  executeTask<Name extends TaskName>(
    task: Name, input: TaskInputs[Name], options?: TaskOptions,
  ): Promise<NewAnswers[Name]> {
    return this.#call<NewAnswers[Name]>('execute_task', task, input, options)
  }

  /** Same as {@link executeTask}, under the name of its older route. */
  executeTaskNew<Name extends TaskName>(
    task: Name, input: TaskInputs[Name], options?: TaskOptions,
  ): Promise<NewAnswers[Name]> {
    return this.#call<NewAnswers[Name]>('execute_task_new', task, input, options)
  }

  /** Answers in the form of the first version: no `faces`, no counts. */
  executeTaskOld<Name extends TaskName>(
    task: Name, input: TaskInputs[Name], options?: TaskOptions,
  ): Promise<OldAnswers[Name]> {
    return this.#call<OldAnswers[Name]>('execute_task_old', task, input, options)
  }

  /**
   * Spreads the pictures of `image_list` over the task's workers: `output_ctx_list` has one item a picture, in order.
   * A single input is spread too where it can be (faces), and answered as one.
   */
  concurrentExecuteTask<Name extends TaskName>(
    task: Name, input: ListInputs[Name], options?: TaskOptions,
  ): Promise<ListAnswers[Name]>
  concurrentExecuteTask<Name extends keyof MergedAnswers>(
    task: Name, input: TaskInputs[Name], options?: TaskOptions,
  ): Promise<MergedAnswers[Name]>
  concurrentExecuteTask(task: TaskName, input: AnyTaskInput, options?: TaskOptions): Promise<TaskAnswer> {
    return this.#call('concurrent_execute_task_new', task, input, options)
  }

  /** Sends the request to a node; task executions are pure computation and may be sent again. */
  protected abstract send(task: TaskName, request: WireRequest, deadline: Deadline): Promise<TaskReply>

  /** Milliseconds a node gets for one attempt of a call that may take `timeoutMs`. */
  protected attemptTimeoutMs(timeoutMs: number): number {
    return timeoutMs
  }

  /** A call of any route: `work` ends by its deadline, and before the client is closed. */
  protected async run<T>(options: CallOptions = {}, work: (deadline: Deadline) => Promise<T>): Promise<T> {
    if (this.#closed) throw new EdgeInferError('CLOSED', 'This client has been closed')
    const timeoutMs = checkTimeout('timeoutMs', options.timeoutMs) ?? this.settings.timeoutMs
    const deadline = new Deadline(timeoutMs, options.signal)
    const call = work(deadline)
    this.#calls.add(call)
    try {
      return await call
    } finally {
      this.#calls.delete(call)
      deadline.release()
    }
  }

  /** Closes the connections when the calls under way have ended; later calls reject with CLOSED. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#calls)
    await this.disconnect()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  protected abstract disconnect(): Promise<void>

  #call<Answer extends TaskAnswer>(
    route: Route, task: TaskName, input: AnyTaskInput, options: TaskOptions = {},
  ): Promise<Answer> {
    return this.run(options, async (deadline) => {
      const taskConf = options.taskConf ?? input.task_conf
      const { query, headers, body } = await encodeTask(input, this.settings.imageEncoding, {
        render: options.render,
        timeoutMs: this.attemptTimeoutMs(options.timeoutMs ?? this.settings.timeoutMs),
        taskConf,
      })
      const path = `/${route}/${encodeURIComponent(task)}${query}`
      const reply = await this.send(task, { method: 'POST', path, headers, body }, deadline)
      return withCallerMembers(reply, taskConf) as Answer
    })
  }
}

/** Adds the members that the interface leaves to the caller: the round trip, the node, the task's configuration. */
function withCallerMembers({ body, seconds, hostname }: TaskReply, taskConf: TaskConf | undefined): TaskAnswer {
  const answer = body as TaskAnswer
  const measured = (info: Partial<ProcResourceInfo>): ProcResourceInfo =>
    ({ ...info, all_latency: seconds, device_ip: info.device_ip ?? hostname }) as ProcResourceInfo
  const { proc_resource_info: info } = answer
  const { proc_resource_info_list: list = [info] } = body as Partial<TaskAnswer>
  return {
    ...answer,
    proc_resource_info: measured(info),
    proc_resource_info_list: list.map(measured),
    task_conf: {
      ...answer.task_conf,
      ...taskConf,
      fps: taskConf?.fps ?? answer.task_conf?.fps ?? null,
      resolution: taskConf?.resolution ?? answer.task_conf?.resolution ?? { w: null, h: null },
    },
  }
}
