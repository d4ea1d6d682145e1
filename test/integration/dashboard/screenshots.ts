import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, inject, test } from 'vitest';
import { SHOP, SHOP_DDL } from '../../../src/local/demo/shop.ts';
import { Workload } from '../../../src/local/demo/workload.ts';
import { freePort } from '../../../src/runtime/free-port.ts';
import { BackfillFixture, rowsOf } from '../backfill/backfill-fixture.ts';
import { launchChromium } from './chromium.ts';
import { openPage } from './open-page.ts';

/** Not a test: `npm run screenshots` writes docs/images with it, from a running daemon with live traffic. */

const IMAGES = resolve('docs/images');
const TRAFFIC_SECONDS = 180;

test(`the dashboard after ${TRAFFIC_SECONDS} seconds of traffic`, { timeout: 600_000 }, async () => {
  const bed = new BackfillFixture(inject('mysqlUrl'), SHOP);
  const browser = await launchChromium();
  try {
    await bed.createSchema(
      'CREATE TABLE invoices (id INT PRIMARY KEY, v VARCHAR(40))',
      'CREATE TABLE suppliers LIKE invoices',
      ...rowsOf('invoices', 150_000),
      ...rowsOf('suppliers', 900),
    );
    const port = await freePort();
    await bed.start(`admin: { listen: ${port} }`);
    // Created while the daemon runs, so that the lake has all of them.
    await bed.query(...SHOP_DDL.filter((sql) => sql.startsWith('CREATE TABLE') && !sql.includes('demo_marker')));
    await bed.copy('suppliers');
    await bed.client.startBackfill({ tables: ['shop.invoices'], rate: 500 });
    const stop = new AbortController();
    const traffic = sendTraffic(bed.url, stop.signal);
    await setTimeout(TRAFFIC_SECONDS * 1_000);
    await mkdir(IMAGES, { recursive: true });
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page, complaints } = await openPage(browser, `http://127.0.0.1:${port}`, {
        colorScheme,
        deviceScaleFactor: 1.5,
      });
      await page.locator('[data-health=ok]').waitFor();
      await page.waitForTimeout(2_000);
      await page.screenshot({ path: resolve(IMAGES, `dashboard-${colorScheme}.png`) });
      expect(complaints).toEqual([]);
    }
    stop.abort();
    await traffic;
  } finally {
    await browser.close();
    await bed.remove();
  }
});

/** Customers who come in waves. */
async function sendTraffic(url: string, signal: AbortSignal): Promise<void> {
  const customers = await Workload.open({ url, seed: 14 });
  try {
    for (let second = 0; !signal.aborted; second += 2) {
      const rate = 60 + 35 * Math.sin(second / 14) + 15 * Math.sin(second / 3.1);
      await customers.run({ rate, transactions: rate * 2, withinMs: 2_000, signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    customers.close();
  }
}
