import type { Random } from '../../src/local/demo/random.ts';
import type { LostAnswer, TcpProxy } from '../tcp-proxy.ts';
import type { EventLog } from './event-log.ts';
import { startFirehoseUnderTest } from './firehose-under-test.ts';
import { startKafkaUnderTest } from './kafka-under-test.ts';
import { startKinesisUnderTest } from './kinesis-under-test.ts';
import type { SinkCall } from './sink-call.ts';

/** The transports that a run can send to. */
export const SINKS = ['firehose', 'kinesis', 'kinesis-aggregated', 'kafka'] as const;
export type SinkName = (typeof SINKS)[number];

/** The connections of the daemon to a server, or to the servers of a cluster. */
export type Link = Pick<TcpProxy, 'cut' | 'cutAfter' | 'cutPending' | 'stall' | 'blackhole' | 'resume' | 'close'>;

export interface TransportOptions {
  seed: number;
  /** Of Kafka. */
  brokers: 1 | 2 | 3;
  directory: string;
  /** Tables with a stream of their own, by their names in the schema of the workload. */
  routed: readonly string[];
  /** Write each call with its events to a ledger, and sync it before the answer. */
  ledger: boolean;
  /** The transport has decided about a call and is about to answer it. */
  onCall: (call: SinkCall) => void;
  /** A fault that is of no call, such as the kill of a broker. */
  onFault: (name: string) => void;
}

/** A transport with its server, its faults, and what it has stored. */
export interface TransportUnderTest {
  /** Its section of cdc.yaml. */
  readonly configuration: string;
  readonly link: Link;
  /** When something was stored whose sender cannot know it. */
  readonly lostAnswers: readonly LostAnswer[];
  /** Nothing is stored twice, unless the daemon has counted it as a possible repeat. */
  readonly countsRepeats?: boolean;
  /** What it has stored, where it keeps an order. */
  readonly log?: EventLog;
  /** The next faults, instead of the ones before. Resolves when they are active, or over. */
  injectFaults(random: Random, signal: AbortSignal): Promise<void>;
  /** A rejection that no retry heals. The daemon must stop with an error. */
  rejectEverything(random: Random): Promise<void>;
  /** Some records fail, from now on. */
  failSomeRecords(random: Random): void;
  endFaults(): Promise<void>;
  /** The daemon has just died. */
  daemonDied?(): void;
  /** Removes what was checked. The daemon is dead. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

const STARTS: Record<SinkName, (options: TransportOptions) => Promise<TransportUnderTest>> = {
  firehose: startFirehoseUnderTest,
  kinesis: (options) => startKinesisUnderTest(options, false),
  'kinesis-aggregated': (options) => startKinesisUnderTest(options, true),
  kafka: startKafkaUnderTest,
};

export const startTransport = (name: SinkName, options: TransportOptions): Promise<TransportUnderTest> =>
  STARTS[name](options);
