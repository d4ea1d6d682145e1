import type { Table } from '../../model/table.ts';
import { validTopic } from './topic-name.ts';

/** What a template names. */
const PLACEHOLDER = /\{(name|db|table)\}/g;

interface NamedTopic {
  topic: string;
  problem: string | undefined;
}

/** The topic of each table. Two tables that share one only because of characters that a topic cannot have collide. */
export class TopicNames {
  readonly #template: string;
  readonly #pipeline: string;
  readonly #ofTable = new WeakMap<Table, NamedTopic>();
  /** The name before characters were replaced, by topic. */
  readonly #plainNames = new Map<string, string>();

  constructor(template: string, pipeline: string) {
    this.#template = template;
    this.#pipeline = pipeline;
  }

  topicOf(table: Table): string {
    return this.#of(table).topic;
  }

  /** Why the topic of a table is not its own, or is none; undefined if all is well. */
  problemOf(table: Table): string | undefined {
    return this.#of(table).problem;
  }

  #of(table: Table): NamedTopic {
    const known = this.#ofTable.get(table);
    if (known !== undefined) return known;
    const plain = this.#plainName(table);
    const topic = validTopic(plain);
    if (!this.#plainNames.has(topic)) this.#plainNames.set(topic, plain);
    const other = this.#plainNames.get(topic);
    let problem: string | undefined;
    if (other !== plain) problem = `${plain} and ${other} both become the topic ${topic}`;
    else if (topic === '.' || topic === '..') problem = `${topic} is not a topic`;
    const named = { topic, problem };
    this.#ofTable.set(table, named);
    return named;
  }

  #plainName({ schema, name }: Table): string {
    const parts = { name: this.#pipeline, db: schema, table: name };
    return this.#template.replace(PLACEHOLDER, (_, part: keyof typeof parts) => parts[part]);
  }
}
