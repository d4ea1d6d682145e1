import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { mavenClasspath } from '../peers/java.ts';
import { shown } from './orders.ts';

/** The Python that has the packages of requirements.txt. */
const PYTHON = process.env.CDC_READERS_PYTHON || 'python3';
const FOLDER = 'test/readers';
const TABLE = 'lake.shop.orders_latest';

const python = (code: string) => spawnSync(PYTHON, ['-c', code], { encoding: 'utf8' });

/** The version of PySpark that is installed, or undefined. */
export function pysparkVersion(): string | undefined {
  const { status, stdout } = python('from importlib.metadata import version; print(version("pyspark"))');
  return status === 0 ? stdout.trim() : undefined;
}

/** Why PySpark cannot run here, or undefined. */
export function missingPyspark(): string | undefined {
  const wanted = /^pyspark==(.+)$/m.exec(readFileSync(join(FOLDER, 'requirements.txt'), 'utf8'))?.[1];
  const version = pysparkVersion();
  if (version === wanted) return undefined;
  const found = version === undefined ? `${PYTHON} has no package pyspark` : `pyspark is ${version}, not ${wanted}`;
  return `${found}: pip install -r ${FOLDER}/requirements.txt, and CDC_READERS_PYTHON if that is another ${PYTHON}`;
}

/** The job of config/readers, and its Iceberg table in a folder. */
export class SparkJob {
  readonly #directory: string;
  readonly #settings: string[];
  readonly #words: string[];
  readonly #home: string;
  #process: ChildProcess | undefined;
  #log = '';

  constructor(directory: string, bootstrap: string, topic: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true });
    this.#home = python('import os, pyspark; print(os.path.dirname(pyspark.__file__))').stdout.trim();
    const settings = {
      'spark.sql.extensions': 'org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions',
      'spark.sql.catalog.lake': 'org.apache.iceberg.spark.SparkCatalog',
      'spark.sql.catalog.lake.type': 'hadoop',
      'spark.sql.catalog.lake.warehouse': join(directory, 'warehouse'),
      'spark.sql.shuffle.partitions': '2',
      'spark.ui.enabled': 'false',
      'spark.driver.extraJavaOptions': '-XX:TieredStopAtLevel=1',
    };
    const jars = mavenClasspath('../readers/spark/pom.xml').replaceAll(':', ',');
    const words = Object.entries(settings).flatMap(([name, value]) => ['--conf', `${name}=${value}`]);
    this.#settings = ['--master', 'local[2]', '--driver-memory', '1g', '--jars', jars, ...words];
    const checkpoint = join(directory, 'checkpoint');
    this.#words = ['--bootstrap', bootstrap, '--topic', topic, '--table', TABLE, '--checkpoint', checkpoint];
  }

  /** The job runs until it is killed. */
  start(): void {
    this.#process = this.#submit('config/readers/spark_table.py', this.#words);
  }

  /** Whether the job has merged a batch. @throws Error if it has ended */
  get hasMerged(): boolean {
    const code = this.#process?.exitCode ?? null;
    if (code !== null) throw new Error(`spark_table has ended with ${code}\n${this.#reason()}`);
    return existsSync(join(this.#directory, 'checkpoint/commits/0'));
  }

  async kill(): Promise<void> {
    const child = this.#process;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, 'exit');
    process.kill(-child.pid, 'SIGKILL');
    await closed;
  }

  /** Reads what the topic has now, from the checkpoint of the job on, and ends. */
  async finish(): Promise<void> {
    await this.#complete('config/readers/spark_table.py', [...this.#words, '--available-now']);
  }

  /** The rows of a query. */
  async rows(sql: string): Promise<string[]> {
    const output = await this.#complete(join(FOLDER, 'show_query.py'), [sql]);
    return output
      .split('\n')
      .flatMap((line) => (line.startsWith('row ') ? [shown(JSON.parse(line.slice('row '.length)))] : []))
      .sort();
  }

  async #complete(file: string, words: string[]): Promise<string> {
    const child = this.#submit(file, words);
    let output = '';
    child.stdout?.on('data', (bytes) => (output += bytes));
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(`${file} has ended with ${code}\n${this.#reason()}`);
    return output;
  }

  #submit(file: string, words: string[]): ChildProcess {
    this.#log = '';
    const child = spawn(join(this.#home, 'bin/spark-submit'), [...this.#settings, resolve(file), ...words], {
      cwd: this.#directory,
      // A group of its own: Spark is a JVM with a Python.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        SPARK_HOME: this.#home,
        SPARK_LOCAL_IP: '127.0.0.1',
        PYSPARK_PYTHON: PYTHON,
        PYTHONPATH: resolve('test/peers/python'),
        TZ: 'UTC',
      },
    });
    child.stderr.on('data', (bytes) => (this.#log += bytes));
    const killAtExit = () => child.pid !== undefined && process.kill(-child.pid, 'SIGKILL');
    process.once('exit', killAtExit);
    child.once('exit', () => process.off('exit', killAtExit));
    return child;
  }

  #reason(): string {
    const lines = this.#log.split('\n').filter((line) => !/^\s+at |WARN|INFO/.test(line));
    return lines.slice(-40).join('\n');
  }
}
