import { readFileSync } from 'node:fs';
import { type LocalServer, startLocalServer } from '../../src/local/mysql/server.ts';
import { compareWithDebezium } from './debezium.ts';
import { checkFlinkRecipes } from './flink.ts';
import { missingMaven } from './java.ts';
import { checkMoto } from './moto.ts';
import { missingPackage } from './python.ts';
import { checkRecipe, RECIPES } from './recipes.ts';
import { makeShopLake, type ShopLake } from './shop-lake.ts';
import { checkSparkMerge } from './spark-merge.ts';

/** One program that reads what cdc writes, or that cdc reads, and what the docs say of it. */
interface Peer {
  /** Why it cannot run here, or undefined. */
  missing: () => string | undefined;
  /** @throws Error if the docs are not true */
  check: () => Promise<void>;
}

let server: LocalServer | undefined;
let lake: ShopLake | undefined;
const startedServer = async (): Promise<LocalServer> => (server ??= await startLocalServer({ flavor: 'mysql' }));
const madeLake = async (): Promise<ShopLake> => {
  if (lake !== undefined) return lake;
  lake = await makeShopLake(await startedServer());
  const { events, repeats, objects, rows } = lake;
  console.log(
    `  a lake of ${events} events, ${repeats} of them repeats, in ${objects.length} objects; ${rows.length} rows`,
  );
  return lake;
};

async function checkDebezium(): Promise<void> {
  const { values, schemas } = await compareWithDebezium(await startedServer());
  for (const [page, table] of Object.entries({ 'docs/DEBEZIUM.md': values, 'docs/KAFKA-MESSAGES.md': schemas })) {
    if (readFileSync(page, 'utf8').includes(table)) continue;
    throw new Error(`${page} has another table than this one:\n${table}`);
  }
}

const PEERS: Record<string, Peer> = Object.fromEntries([
  ...Object.entries(RECIPES).map(([name, recipe]): [string, Peer] => [
    name,
    { missing: recipe.missing, check: async () => checkRecipe(recipe, await madeLake()) },
  ]),
  [
    'spark-merge',
    {
      missing: () => missingMaven() ?? missingPackage('pyspark'),
      check: async () => checkSparkMerge(await startedServer(), madeLake),
    },
  ],
  ['flink-debezium', { missing: missingMaven, check: async () => checkFlinkRecipes(await startedServer()) }],
  ['debezium', { missing: missingMaven, check: checkDebezium }],
  ['moto', { missing: () => missingPackage('moto'), check: checkMoto }],
]);

/** `npm run peers [-- NAME...]`: whether docs/WAREHOUSE.md and docs/DEBEZIUM.md are true. */
const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(PEERS);
const unknown = names.filter((name) => !(name in PEERS));
if (unknown.length > 0) {
  console.error(`npm run peers knows no ${unknown.join(', ')}; it knows ${Object.keys(PEERS).join(', ')}`);
  process.exit(2);
}
try {
  for (const name of names) {
    const { missing, check } = PEERS[name] as Peer;
    const reason = missing();
    if (reason !== undefined) {
      process.exitCode ||= 2;
      console.error(`${name} does not run here: ${reason}`);
      continue;
    }
    console.log(name);
    await check().catch((error: Error) => {
      process.exitCode = 1;
      console.error(error.message);
    });
  }
} finally {
  await server?.stop();
  lake?.remove();
}
