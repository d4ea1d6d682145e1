import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cdc, startCdc, until } from '../integration/pipeline-fixture.ts';

export const TOPIC = 'shop.shop.orders';

/** `cdc run` with Kafka as its sink. */
export class Daemon {
  readonly #directory: string;
  readonly #checkpoint: string;
  #running: Cdc | undefined;

  constructor(directory: string, url: string, brokers: string[]) {
    this.#directory = directory;
    this.#checkpoint = join(directory, 'state', 'shop.json');
    writeFileSync(
      join(directory, 'cdc.yaml'),
      `name: shop
source: { url: "${url}" }
tables: [shop.orders]
kafka: { brokers: ${JSON.stringify(brokers)} }
checkpoint: { file: state/shop.json }
`,
    );
  }

  async start(): Promise<void> {
    const daemon = startCdc(this.#directory, 'run');
    this.#running = daemon;
    process.once('exit', () => daemon.child.kill('SIGKILL'));
    await until(() => daemon.stderr().includes('following the binlog') || daemon.child.exitCode !== null);
    if (daemon.child.exitCode !== null) throw new Error(`cdc run has ended\n${daemon.stderr()}`);
  }

  /** What it repeats after `rewind`. */
  keepCheckpoint(): void {
    copyFileSync(this.#checkpoint, `${this.#checkpoint}.kept`);
  }

  /** Kills it, and starts it at the checkpoint that was kept, as after a crash that lost the later ones. */
  async rewind(meanwhile: () => Promise<void>): Promise<void> {
    await this.kill();
    await meanwhile();
    copyFileSync(`${this.#checkpoint}.kept`, this.#checkpoint);
    await this.start();
  }

  async kill(): Promise<void> {
    const child = this.#running?.child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'close');
    child.kill('SIGKILL');
    await closed;
  }
}
