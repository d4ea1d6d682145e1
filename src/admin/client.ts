import { Agent, request as httpRequest } from 'node:http';
import type {
  BackfillRequest,
  BackfillStatus,
  RepairRequest,
  RepairResult,
  StartedBackfill,
} from '../backfill/control.ts';
import type { StreamStatus } from '../model/stream-status.ts';
import type { ReportedTable } from '../model/verified-tables.ts';
import { CdcError, type ExitCode } from '../runtime/error.ts';
import type { DaemonStatus } from './daemon-status.ts';
import { assertSocketPath, probeSocket, stateOfFailure } from './unix-socket.ts';

/** How long an answer can take. */
const ANSWER_TIMEOUT_MS = 15_000;
/** The health check of a container does not wait longer. */
const ALIVE_TIMEOUT_MS = 5_000;
/** The daemon looks every table up before it answers. */
const LOOK_UP_TIMEOUT_MS = 120_000;
/** A repair waits for the stream and for Firehose, and for the repairs before it. */
const REPAIR_TIMEOUT_MS = 1_800_000;

/** The command's half of the admin server: calls to the daemon over its Unix socket. */
export class AdminClient {
  readonly socket: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  /** @throws CdcError with exit code 2 if no socket can have this path */
  constructor(socket: string) {
    assertSocketPath(socket);
    this.socket = socket;
  }

  /**
   * Whether a daemon listens. Absent and stale both mean that none runs.
   * @throws CdcError if the socket belongs to another account
   */
  async probe(): Promise<'listening' | 'absent' | 'stale'> {
    const state = await probeSocket(this.socket);
    if (state === 'denied') throw this.#denied();
    return state;
  }

  /** Resolves if the daemon answers at all, whatever it waits for. @throws CdcError if it does not */
  async alive(): Promise<void> {
    await this.#call('GET', '/healthz', undefined, ALIVE_TIMEOUT_MS);
  }

  status(): Promise<DaemonStatus> {
    return this.#call('GET', '/api/status');
  }

  /** The status while a pipeline runs. @throws CdcError of kind `retry` if none does */
  async running(): Promise<DaemonStatus & { stream: StreamStatus }> {
    const status = await this.status();
    const { stream, health } = status;
    if (stream !== null) return { ...status, stream };
    const why = health.problems[0]?.why;
    throw new CdcError('the daemon runs, and its pipeline does not', {
      kind: 'retry',
      ...(why && { why }),
      hint: 'the log of the daemon says what it waits for',
    });
  }

  /**
   * Two pipelines can name the same socket by mistake.
   * @throws CdcError with exit code 2 if the daemon runs another pipeline than `name`
   */
  async assertPipeline(name: string): Promise<void> {
    const { name: running } = await this.status();
    if (running === name) return;
    throw new CdcError(`the daemon on the socket ${this.socket} runs the pipeline "${running}", not "${name}"`, {
      exitCode: 2,
      hint: 'give each pipeline its own checkpoint.file or admin.socket',
    });
  }

  backfill(): Promise<BackfillStatus> {
    return this.#call('GET', '/api/backfill');
  }

  startBackfill(request: BackfillRequest): Promise<StartedBackfill> {
    return this.#call('POST', '/api/backfill', request, LOOK_UP_TIMEOUT_MS);
  }

  /** @param tables only for cancel: these alone */
  changeBackfill(change: 'pause' | 'resume' | 'cancel', tables?: string[]): Promise<BackfillStatus> {
    return this.#call('POST', `/api/backfill/${change}`, tables === undefined ? {} : { tables });
  }

  /** Resolves once the results are durable. */
  async verified(tables: readonly ReportedTable[]): Promise<void> {
    await this.#call('POST', '/api/verified', { tables }, LOOK_UP_TIMEOUT_MS);
  }

  /** Resolves once everything that was sent is delivered. */
  repair(request: RepairRequest): Promise<RepairResult> {
    return this.#call('POST', '/api/repair', request, REPAIR_TIMEOUT_MS);
  }

  close(): void {
    this.#agent.destroy();
  }

  /**
   * @throws CdcError: of kind `retry` if the daemon does not answer or its pipeline does not run, otherwise what the
   * daemon reports
   */
  #call<T>(method: string, path: string, body?: unknown, timeoutMs = ANSWER_TIMEOUT_MS): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const call = httpRequest(
        {
          ...{ socketPath: this.socket, agent: this.#agent, method, path, timeout: timeoutMs },
          ...(text !== undefined && {
            headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) },
          }),
        },
        (response) => {
          const pieces: Buffer[] = [];
          response.on('data', (piece: Buffer) => pieces.push(piece));
          response.on('error', (error) => reject(this.#lost(error)));
          response.on('end', () => {
            try {
              resolve(this.#read<T>(response.statusCode ?? 0, Buffer.concat(pieces).toString('utf8')));
            } catch (error) {
              reject(error);
            }
          });
        },
      );
      call.on('timeout', () => call.destroy(new Error(`no answer for ${timeoutMs / 1000} s`)));
      call.on('error', (error) => reject(this.#lost(error)));
      call.end(text);
    });
  }

  #read<T>(status: number, text: string): T {
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      throw new CdcError(`what listens on the socket ${this.socket} is no cdc`, {
        why: 'its answer is not JSON',
        hint: 'find that process, or name another path with admin.socket',
      });
    }
    if (status >= 200 && status < 300) return parsed as T;
    const { message, why, hint, exitCode } = (parsed as { error?: DaemonError }).error ?? {};
    throw new CdcError(message ?? `the daemon answered with ${status}`, {
      kind: status === 503 ? 'retry' : 'fatal',
      ...(exitCode && { exitCode }),
      ...(why && { why }),
      ...(hint && { hint }),
    });
  }

  /** The call did not reach the daemon, or its answer did not come. */
  #lost(error: NodeJS.ErrnoException): CdcError {
    const state = stateOfFailure(error);
    if (state === 'denied') return this.#denied();
    const why = {
      absent: `there is no socket ${this.socket}`,
      stale: `its process left the socket ${this.socket} behind`,
      listening: error.message,
    };
    return new CdcError('the daemon does not answer', {
      kind: 'retry',
      why: state === undefined ? error.message : why[state],
      hint: 'start it with cdc run; its log says why it ended',
      cause: error,
    });
  }

  #denied(): CdcError {
    return new CdcError(`the socket ${this.socket} belongs to another account`, {
      exitCode: 2,
      why: 'only the account that runs the daemon can use it (mode 0600), and its folder must let this account in',
      hint: 'run this command as that account, such as with sudo -u cdc',
    });
  }
}

/** Whether nobody answered. Otherwise the daemon itself reported the error. */
export const isUnanswered = (error: CdcError): boolean => error.kind === 'retry' && error.cause !== undefined;

interface DaemonError {
  message?: string;
  why?: string;
  hint?: string;
  exitCode?: ExitCode;
}
