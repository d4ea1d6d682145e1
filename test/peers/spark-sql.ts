import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mavenClasspath } from './java.ts';
import { packageFolder } from './python.ts';

/** A warehouse of Spark: Iceberg tables and views, whose catalog is a file of H2. */
export class SparkWarehouse {
  readonly #directory: string;
  readonly #jars = mavenClasspath('iceberg/pom.xml').replaceAll(':', ',');
  readonly #home = packageFolder('pyspark');
  #runs = 0;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory);
  }

  /** Runs a script as `spark-sql -f` does. Returns the lines of its output that begin with `row `. @throws Error */
  run(script: string, settings: Record<string, string> = {}): string[] {
    const file = join(this.#directory, `${++this.#runs}.sql`);
    writeFileSync(file, script);
    const all = {
      'spark.sql.extensions': 'org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions',
      'spark.sql.catalog.lake': 'org.apache.iceberg.spark.SparkCatalog',
      'spark.sql.catalog.lake.type': 'jdbc',
      'spark.sql.catalog.lake.uri': `jdbc:h2:${this.#directory}/catalog;DATABASE_TO_LOWER=TRUE`,
      'spark.sql.catalog.lake.jdbc.schema-version': 'V1',
      'spark.sql.catalog.lake.warehouse': join(this.#directory, 'warehouse'),
      'spark.sql.defaultCatalog': 'lake',
      // The scripts must not depend on it.
      'spark.driver.extraJavaOptions': `-Duser.timezone=Asia/Kathmandu -Dderby.system.home=${this.#directory}`,
      'spark.sql.shuffle.partitions': '1',
      'spark.ui.enabled': 'false',
      ...settings,
    };
    const words = Object.entries(all).flatMap(([name, value]) => ['--conf', `${name}=${value}`]);
    const { status, stdout, stderr } = spawnSync(
      join(this.#home, 'bin', 'spark-sql'),
      ['--master', 'local[2]', '--jars', this.#jars, ...words, '-f', file],
      {
        cwd: this.#directory,
        encoding: 'utf8',
        maxBuffer: 2 ** 28,
        env: { ...process.env, SPARK_HOME: this.#home, SPARK_LOCAL_IP: '127.0.0.1' },
      },
    );
    if (status !== 0) {
      const why = stderr.split('\n').filter((line) => !/^\s+at |WARN|^Time taken/.test(line));
      throw new Error(`spark-sql has ended with ${status}\n${why.slice(0, 60).join('\n')}`);
    }
    return stdout.split('\n').filter((line) => line.startsWith('row '));
  }
}
