import type { SaslMechanism } from '../../config/sasl-mechanisms.ts';
import type { Prompts } from './prompts.ts';
import type { WrittenKey } from './written-key.ts';

/** What the flags say about the transport, and then the answers too. */
export interface TransportFlags {
  stream?: string;
  region?: string;
  endpoint?: string;
  brokers?: string[];
  createTopics?: string;
  kafkaTls?: true;
  kafkaCaFile?: string;
  kafkaSasl?: SaslMechanism;
  kafkaUsername?: string;
  kafkaPasswordFile?: string;
}
export type TransportFlagName = keyof TransportFlags;

export interface TransportFlag {
  name: TransportFlagName;
  /** As commander has it: `--stream <name>`. A `<file>` must be there. */
  option: string;
  description: string;
  /** The key that it sets, within the section. */
  key: readonly string[];
  choices?: readonly string[];
  /** The values in one word, for a flag that has several. */
  split?: (text: string) => string[];
}

/** What the questions of a transport can use. */
export interface Asking {
  /** The name of the pipeline. */
  pipeline: string;
  prompts: Prompts;
  /** What is wrong with a value, as the schema has it. */
  problem: (name: TransportFlagName, value: unknown) => string | undefined;
}

/** All that `cdc init` knows of a transport. */
export interface InitTransport {
  title: string;
  /** One line for the first question. */
  purpose: string;
  flags: readonly TransportFlag[];
  /** Flags of an example, with those that the given ones need. */
  example(flags: TransportFlags): string;
  /** The section with the keys only that it must have. */
  least: Record<string, unknown>;
  /** What a section needs that neither the flags nor the environment have. */
  missing(flags: TransportFlags, env: NodeJS.ProcessEnv): string[];
  /** Asks for what the flags do not have. */
  ask(flags: TransportFlags, asking: Asking): Promise<TransportFlags>;
  /** The environment variable that the section names for a password, and how it is asked for; undefined without one. */
  password(flags: TransportFlags): { variable: string; question: string } | undefined;
  /** What to know before `cdc run`; undefined if there is nothing. */
  note(flags: TransportFlags): string | undefined;
  /** Its part of the file. Paths are relative to the folder of the file. */
  keys(flags: TransportFlags): WrittenKey[];
}

/** `kafkaCaFile` -> `--kafka-ca-file` */
export const flagText = (name: string): string => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
