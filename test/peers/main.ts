import { readFileSync } from 'node:fs';
import { startLocalServer } from '../../src/local/mysql/server.ts';
import { compareWithDebezium } from './debezium.ts';
import { checkFlinkRecipes } from './flink.ts';
import { missingProgram } from './java.ts';

/** `npm run peers [-- debezium | flink]`: whether docs/DEBEZIUM.md is true. */
const missing = missingProgram();
if (missing !== undefined) {
  console.error(`npm run peers needs Java 17 or later, and Maven: ${missing}`);
  process.exit(2);
}
const server = await startLocalServer({ flavor: 'mysql' });
try {
  const only = process.argv[2];
  if (only !== 'debezium') await checkFlinkRecipes(server);
  if (only !== 'flink') {
    const table = await compareWithDebezium(server);
    if (!readFileSync('docs/DEBEZIUM.md', 'utf8').includes(table)) {
      process.exitCode = 1;
      console.log(`docs/DEBEZIUM.md has another table than this one:\n${table}`);
    }
  }
} finally {
  await server.stop();
}
