import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheDirectory } from '../../src/local/mysql/cache.ts';
import { runProcess } from '../../src/local/mysql/subprocess.ts';
import { findJava, findMaven, type Program } from './java.ts';

/** The broker that the tests run, as Apache publishes it. Its newest line runs on Java 17. */
export const KAFKA_VERSION = '4.1.2';
/** Compiles the tool of the tests where only a Java runtime is there. */
const COMPILER_VERSION = '3.38.0';

/** What a broker is started with. */
export interface KafkaArtifacts {
  java: Program;
  /** Class path of the broker and of Apache's client, and of the tool of the tests. */
  classPath: string;
}

let found: Promise<KafkaArtifacts> | undefined;
let foundConnect: Promise<KafkaArtifacts> | undefined;

/** Java, and the broker's artifacts, which are fetched once into the cache. @throws Error with the reason */
export function findKafka(): Promise<KafkaArtifacts> {
  found ??= find();
  return found;
}

/** Why no Kafka can run here; undefined if one can. For `describe.skipIf` and its name. */
export const kafkaAvailability = (): Promise<string | undefined> =>
  findKafka().then(
    () => undefined,
    (error: Error) => error.message,
  );

/** The same with Kafka Connect's JSON converter, and its tool, instead of the broker. @throws Error with the reason */
export function findConnect(): Promise<KafkaArtifacts> {
  foundConnect ??= fetchAndCompile('kafka-connect', CONNECT, 'ConnectTool.java');
  return foundConnect;
}

/** Why it cannot be had; undefined if it can. */
export const connectAvailability = (): Promise<string | undefined> =>
  findConnect().then(
    () => undefined,
    (error: Error) => error.message,
  );

type Artifact = readonly [group: string, artifact: string, version: string];
const COMPILER: Artifact = ['org.eclipse.jdt', 'ecj', COMPILER_VERSION];
// Without a binding of SLF4J a broker that fails says nothing.
const LOGGING: Artifact = ['org.slf4j', 'slf4j-simple', '1.7.36'];
const BROKER: readonly Artifact[] = [['org.apache.kafka', 'kafka_2.13', KAFKA_VERSION], LOGGING, COMPILER];
const CONNECT: readonly Artifact[] = [['org.apache.kafka', 'connect-json', KAFKA_VERSION], LOGGING, COMPILER];

const find = (): Promise<KafkaArtifacts> => fetchAndCompile('kafka', BROKER, 'KafkaTool.java');

async function fetchAndCompile(name: string, artifacts: readonly Artifact[], file: string): Promise<KafkaArtifacts> {
  const java = await findJava();
  const copy = join(cacheDirectory(), `${name}-${KAFKA_VERSION}`);
  if (!existsSync(copy)) await publish(copy, (folder) => fetchArtifacts(folder, artifacts));
  // The compiler reads the same class path, which the broker's main class does not mind.
  const libraries = join(copy, '*');
  const source = join(import.meta.dirname, file);
  const hash = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 12);
  const tool = join(cacheDirectory(), `${name}-tool-${hash}`);
  if (!existsSync(tool)) await publish(tool, (folder) => compile(java, copy, source, folder));
  return { java, classPath: `${tool}:${libraries}` };
}

/** The copy gets its name when it is complete. Of two that are made at the same time, the first is used. */
async function publish(copy: string, make: (folder: string) => Promise<void>): Promise<void> {
  await mkdir(cacheDirectory(), { recursive: true });
  const partial = await mkdtemp(`${copy}.partial-`);
  try {
    await make(partial);
    await rename(partial, copy).catch((error) => {
      if (!existsSync(copy)) throw error;
    });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function fetchArtifacts(folder: string, artifacts: readonly Artifact[]): Promise<void> {
  const maven = await findMaven();
  const project = await mkdtemp(`${folder}.project-`);
  try {
    await writeFile(join(project, 'pom.xml'), projectOf(artifacts));
    const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';
    const options = ['--batch-mode', '--quiet', '--file', join(project, 'pom.xml')];
    const [command, ...first] = maven.command;
    await runProcess(command, [...first, ...options, goal, `-DoutputDirectory=${folder}`, '-DincludeScope=runtime'], {
      env: maven.env,
    });
    const names = readdirSync(folder);
    const missing = artifacts.filter(([, artifact, version]) => !names.includes(`${artifact}-${version}.jar`));
    if (missing.length > 0) throw new Error(`mvn copied only ${names.join(', ')}`);
  } finally {
    await rm(project, { recursive: true, force: true });
  }
}

function projectOf(artifacts: readonly Artifact[]): string {
  const dependencies = artifacts.map(
    ([group, artifact, version]) =>
      `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`,
  );
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>cdc</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependencies.join('\n')}</dependencies></project>\n`;
}

async function compile(java: Program, libraries: string, source: string, folder: string): Promise<void> {
  const classPath = readdirSync(libraries).map((name) => join(libraries, name));
  const compiler = ['-jar', join(libraries, `ecj-${COMPILER_VERSION}.jar`), '--release', '17'];
  const [command, ...first] = java.command;
  await runProcess(command, [...first, ...compiler, '-cp', classPath.join(':'), '-d', folder, source], {
    env: java.env,
  });
}
