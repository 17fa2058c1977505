/** What the server and a worker process say to each other of all but the jobs, as JSON. */
import type { Socket } from 'node:net'
import { Framing } from './framing.js'

export class Channel<Sent, Incoming> {
  readonly #framing: Framing

  constructor(socket: Socket, onMessage: (message: Incoming) => void) {
    this.#framing = new Framing(socket, (header) => onMessage(JSON.parse(header.toString()) as Incoming))
  }

  send(message: Sent): void {
    this.#framing.send(Buffer.from(JSON.stringify(message)))
  }

  /** Closes the channel; `sent` is called when all that was sent has left this process. */
  end(sent: () => void): void {
    this.#framing.end(sent)
  }
}
