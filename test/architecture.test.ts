import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * Which modules each module may import, lowest first: a module stands below all that import it. In the folders that
 * have parts (`PARTED`) each part is a module, and so is a file beside the parts. Everyone may import `runtime`.
 */
const MAY_IMPORT: Record<string, string[]> = {
  runtime: [],
  model: [],
  aws: [],
  config: ['model'],
  secrets: ['model', 'aws'],
  checkpoint: ['model', 'config', 'aws', 'secrets'],

  'sinks/sink.ts': ['model'],
  'sinks/aws': ['model', 'aws', 'sinks/sink.ts'],
  'sinks/firehose': ['model', 'config', 'aws', 'sinks/sink.ts', 'sinks/aws'],
  'sinks/kinesis': ['model', 'config', 'aws', 'sinks/sink.ts', 'sinks/aws'],
  'sinks/kafka': ['model', 'config', 'aws', 'secrets', 'sinks/sink.ts'],
  // These two name every transport; nothing else does.
  'sinks/open-targets.ts': ['config', 'sinks/sink.ts', 'sinks/firehose', 'sinks/kinesis', 'sinks/kafka'],
  'sinks/check-sinks.ts': ['model', 'config', 'sinks/firehose', 'sinks/kinesis', 'sinks/kafka'],

  'backfill/control.ts': [],

  'codec/bytes': [],
  'codec/charset': ['codec/bytes'],
  'codec/json': ['model', 'codec/bytes'],
  'codec/values': ['model', 'codec/bytes', 'codec/charset', 'codec/json'],
  'codec/row-image-writer.ts': ['model', 'codec/bytes', 'codec/charset', 'codec/json', 'codec/values'],
  'codec/formats': ['model', 'codec/bytes', 'codec/row-image-writer.ts'],
  'codec/event-writer.ts': ['model', 'codec/bytes', 'codec/row-image-writer.ts', 'codec/formats'],

  'source/limits.ts': [],
  'source/server': ['model', 'secrets', 'source/limits.ts'],
  'source/statement': [],
  'source/binlog': ['model', 'secrets', 'source/limits.ts', 'source/server', 'source/statement'],
  'source/schema': ['model', 'source/server', 'source/binlog', 'source/statement'],
  'source/start-point.ts': [
    'model',
    'checkpoint',
    'source/limits.ts',
    'source/server',
    'source/binlog',
    'source/schema',
  ],
  'source/compare-binlog.ts': ['model', 'checkpoint', 'source/limits.ts', 'source/server', 'source/binlog'],
  'source/select-host.ts': [
    'checkpoint',
    'config',
    'source/limits.ts',
    'source/server',
    'source/start-point.ts',
    'source/compare-binlog.ts',
  ],
  'source/skip-until-start.ts': ['model', 'source/start-point.ts'],
  'source/event-table.ts': ['model', 'config', 'codec/formats', 'source/server'],
  'source/captured-tables.ts': ['model', 'secrets', 'source/limits.ts'],
  'source/change-stream.ts': [
    'model',
    'config',
    'codec/bytes',
    'codec/charset',
    'codec/row-image-writer.ts',
    'codec/formats',
    'codec/event-writer.ts',
    'source/server',
    'source/binlog',
    'source/schema',
    'source/start-point.ts',
    'source/skip-until-start.ts',
    'source/event-table.ts',
  ],
  'source/stream-pauses.ts': ['source/change-stream.ts'],

  'source/transaction-printer.ts': ['model', 'codec/bytes', 'source/change-stream.ts'],

  delivery: ['model', 'sinks/sink.ts'],
  'backfill/request': ['model', 'config', 'backfill/control.ts', 'source/server', 'source/statement', 'sinks/sink.ts'],
  'dead-letter': ['model', 'config', 'codec/formats', 'sinks/sink.ts'],
  admin: ['model', 'config', 'backfill/control.ts'],
  // It runs in a browser: only types, which a test below sees to.
  dashboard: ['model', 'backfill/control.ts', 'admin'],
  preflight: [
    'model',
    'config',
    'secrets',
    'checkpoint',
    'admin',
    'source/server',
    'source/captured-tables.ts',
    'source/select-host.ts',
    'sinks/check-sinks.ts',
  ],
  lake: ['model', 'config', 'aws'],

  'backfill/limits.ts': [],
  'backfill/read': ['model', 'source/limits.ts', 'source/server', 'source/schema'],
  'backfill/merge': [
    'model',
    'config',
    'codec/bytes',
    'codec/event-writer.ts',
    'source/server',
    'source/schema',
    'source/event-table.ts',
    'source/change-stream.ts',
    'delivery',
    'backfill/limits.ts',
    'backfill/read',
  ],
  'backfill/work': [
    'model',
    'codec/bytes',
    'source/schema',
    'backfill/control.ts',
    'backfill/limits.ts',
    'backfill/read',
    'backfill/merge',
  ],
  'backfill/repair': [
    'model',
    'codec/bytes',
    'delivery',
    'backfill/control.ts',
    'backfill/limits.ts',
    'backfill/read',
    'backfill/merge',
  ],
  'backfill/backfill.ts': [
    'model',
    'config',
    'delivery',
    'backfill/control.ts',
    'backfill/limits.ts',
    'backfill/read',
    'backfill/merge',
    'backfill/work',
  ],
  'backfill/open-backfill.ts': [
    'model',
    'config',
    'delivery',
    'source/server',
    'source/start-point.ts',
    'backfill/control.ts',
    'backfill/request',
    'backfill/read',
    'backfill/merge',
    'backfill/repair',
    'backfill/backfill.ts',
  ],

  verify: [
    'model',
    'config',
    'backfill/control.ts',
    'source/server',
    'source/schema',
    'source/event-table.ts',
    'aws',
    'sinks/firehose',
    'backfill/request',
    'admin',
    'lake',
    'backfill/read',
    'backfill/work',
  ],

  // The SQL of a warehouse is pure; what reads the source or a lake, and what runs SQL, is a part of its own.
  'warehouse/tables': ['model', 'config', 'source/schema', 'source/event-table.ts', 'backfill/request'],
  'warehouse/dialect.ts': ['config', 'warehouse/tables'],
  'warehouse/names.ts': ['warehouse/dialect.ts', 'warehouse/tables'],
  'warehouse/dialects': ['model', 'config', 'lake', 'warehouse/dialect.ts', 'warehouse/names.ts', 'warehouse/tables'],
  'warehouse/statements': ['config', 'warehouse/dialect.ts', 'warehouse/names.ts', 'warehouse/tables'],
  'warehouse/script.ts': [
    'model',
    'config',
    'warehouse/dialect.ts',
    'warehouse/names.ts',
    'warehouse/statements',
    'warehouse/tables',
  ],
  'warehouse/merge': [
    'model',
    'config',
    'source/server',
    'lake',
    'warehouse/dialect.ts',
    'warehouse/dialects',
    'warehouse/names.ts',
    'warehouse/statements',
    'warehouse/tables',
  ],

  'pipeline-observer.ts': [
    'model',
    'config',
    'checkpoint',
    'admin',
    'source/server',
    'source/select-host.ts',
    'source/change-stream.ts',
    'delivery',
    'backfill/merge',
  ],
  'pipeline.ts': [
    'model',
    'config',
    'checkpoint',
    'source/select-host.ts',
    'source/captured-tables.ts',
    'source/stream-pauses.ts',
    'source/change-stream.ts',
    'delivery',
    'dead-letter',
    'sinks/open-targets.ts',
    'backfill/control.ts',
    'backfill/merge',
    'backfill/backfill.ts',
    'backfill/open-backfill.ts',
    'admin',
    'pipeline-observer.ts',
  ],
  'lease-state.ts': ['model', 'checkpoint'],
  'daemon.ts': [
    'lease-state.ts',
    'model',
    'config',
    'checkpoint',
    'dead-letter',
    'source/server',
    'preflight',
    'backfill/control.ts',
    'admin',
    'pipeline.ts',
  ],
  'fleet.ts': ['config', 'admin', 'daemon.ts'],

  'local/mysql': [],
  'local/firehose': [],
  'local/warehouse': [],
  'local/demo': [
    'model',
    'config',
    'checkpoint',
    'lake',
    'warehouse/dialects',
    'warehouse/tables',
    'warehouse/merge',
    'local/mysql',
    'local/firehose',
    'local/warehouse',
  ],

  commands: [
    'model',
    'config',
    'checkpoint',
    'backfill/control.ts',
    'backfill/request',
    'backfill/work',
    'pipeline.ts',
    'admin',
    'source/server',
    'source/captured-tables.ts',
    'source/select-host.ts',
    'source/change-stream.ts',
    'source/transaction-printer.ts',
    'sinks/sink.ts',
    'sinks/open-targets.ts',
    'codec/formats',
    'dead-letter',
    'preflight',
    'lake',
    'verify',
    'warehouse/dialect.ts',
    'warehouse/dialects',
    'warehouse/script.ts',
    'warehouse/tables',
    'warehouse/merge',
    'daemon.ts',
    'fleet.ts',
    'local/firehose',
    'local/warehouse',
    'local/demo',
  ],
  'main.ts': ['commands'],
};
const PARTED = ['codec', 'source', 'sinks', 'backfill', 'local', 'warehouse'];

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .filter((file) => /\.tsx?$/.test(file))
  .map(normalize);

function moduleOf(file: string): string {
  const [folder = '', part] = file.split(/[\\/]/);
  return PARTED.includes(folder) && part !== undefined ? `${folder}/${part}` : folder;
}

const textOf = (file: string): string => readFileSync(join('src', file), 'utf8');

/** The files that a file imports, types and `import()` included. */
const importsOf = (file: string): string[] =>
  [...textOf(file).matchAll(/(?:from|import|import\()\s*['"`](\.[^'"`]+)['"`]/g)].map((match) =>
    relative('src', join('src', dirname(file), match[1] as string)),
  );

/** The first circle that can be walked from `start` along `next`; empty for none. */
function circleFrom(start: string, next: (from: string) => readonly string[]): string[] {
  const path: string[] = [];
  const done = new Set<string>();
  const walk = (at: string): string[] => {
    if (path.includes(at)) return [...path.slice(path.indexOf(at)), at];
    if (done.has(at)) return [];
    path.push(at);
    for (const to of next(at)) {
      const circle = walk(to);
      if (circle.length > 0) return circle;
    }
    path.pop();
    done.add(at);
    return [];
  };
  return walk(start);
}

describe('the modules of src', () => {
  test.each(files)('%s imports only the modules it may', (file) => {
    const module = moduleOf(file);
    const allowed = MAY_IMPORT[module];
    expect(allowed, `module ${module} is not in MAY_IMPORT`).toBeDefined();
    const forbidden = importsOf(file)
      .map(moduleOf)
      .filter((to) => to !== module && to !== 'runtime' && !allowed?.includes(to));
    expect(forbidden).toEqual([]);
  });

  test('MAY_IMPORT names only modules that exist and imports that are used', () => {
    const used = new Set(files.flatMap((file) => importsOf(file).map((to) => `${moduleOf(file)} -> ${moduleOf(to)}`)));
    const listed = Object.entries(MAY_IMPORT).flatMap(([from, to]) => to.map((one) => `${from} -> ${one}`));
    expect(Object.keys(MAY_IMPORT).filter((module) => !files.map(moduleOf).includes(module))).toEqual([]);
    expect(listed.filter((arrow) => !used.has(arrow))).toEqual([]);
  });

  test('no module imports a module above it, and no imports form a circle', () => {
    const order = Object.keys(MAY_IMPORT);
    const upward = Object.entries(MAY_IMPORT).flatMap(([from, to]) =>
      to.filter((one) => order.indexOf(one) > order.indexOf(from)).map((one) => `${from} -> ${one}`),
    );
    expect(upward).toEqual([]);
    expect(circleFrom('main.ts', importsOf)).toEqual([]);
    expect(files.flatMap((file) => circleFrom(file, importsOf))).toEqual([]);
  });

  test('only commands import what is for development alone', () => {
    const importers = files.filter(
      (file) => !file.startsWith('local') && importsOf(file).some((to) => to.startsWith('local')),
    );
    expect(importers.filter((file) => moduleOf(file) !== 'commands')).toEqual([]);
  });

  test('the dashboard takes only types from the daemon, of the one file that says what it is asked', () => {
    const dashboard = files.filter((file) => moduleOf(file) === 'dashboard');
    const outside = dashboard.flatMap((file) =>
      [...textOf(file).matchAll(/^(?:import|export)\b[^;]*?\bfrom '(\.[^']+)';/gm)]
        .filter(([, path]) => moduleOf(relative('src', join('src', dirname(file), path as string))) !== 'dashboard')
        .map(([statement, path]) => ({ file, path: path as string, isType: statement.startsWith('import type') })),
    );
    expect(outside.length).toBeGreaterThan(0);
    expect(outside.filter(({ isType }) => !isType)).toEqual([]);
    const ofAdmin = outside.filter(({ path }) => path.startsWith('../admin/')).map(({ path }) => path);
    expect([...new Set(ofAdmin)]).toEqual(['../admin/daemon-status.ts']);
    const importers = files.filter((file) => importsOf(file).some((to) => moduleOf(to) === 'dashboard'));
    expect(importers.filter((file) => moduleOf(file) !== 'dashboard')).toEqual([]);
  });

  test('nothing goes around the imports with require or a computed import', () => {
    const around = /createRequire|\brequire\(|import\((?!\s*['"`])/;
    expect(files.filter((file) => around.test(textOf(file)))).toEqual([]);
  });

  test('only main.ts ends the process', () => {
    const ending = /process(?:\.exit\b(?!Code)|\[)|\{[^}]*\bexit\b[^}]*\}\s*=\s*process|from '(?:node:)?process'/;
    expect(files.filter((file) => ending.test(textOf(file)))).toEqual(['main.ts']);
  });

  test('the model imports no package', () => {
    const packages = files
      .filter((file) => moduleOf(file) === 'model')
      .flatMap((file) => [...textOf(file).matchAll(/(?:from|import|import\()\s*['"`]([^.'"`][^'"`]*)['"`]/g)])
      .map((match) => match[1]);
    expect(packages).toEqual([]);
  });
});
