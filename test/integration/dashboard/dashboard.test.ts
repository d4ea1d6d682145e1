import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest';
import type { DaemonStatus } from '../../../src/admin/daemon-status.ts';
import { freePort } from '../../../src/runtime/free-port.ts';
import { BackfillFixture, rowsOf } from '../backfill/backfill-fixture.ts';
import { until } from '../pipeline-fixture.ts';
import { chromiumUnavailable, launchChromium } from './chromium.ts';
import { horizontalOverflow, type OpenPage, openPage, seriousFindings } from './open-page.ts';

const unavailable = await chromiumUnavailable();
const TABLE = '(id INT PRIMARY KEY, v VARCHAR(40))';
const TOKEN = 'open-sesame-4711';

/** The last test of the file ends the daemon and starts it again: they run in this order. */
describe.skipIf(unavailable !== undefined)(
  `the dashboard of a running daemon${unavailable ? `: ${unavailable}` : ''}`,
  () => {
    let browser: Browser;
    let bed: BackfillFixture;
    let url: string;
    let port: number;
    let opened: OpenPage;
    beforeAll(async () => {
      browser = await launchChromium();
      port = await freePort();
      url = `http://127.0.0.1:${port}`;
      bed = new BackfillFixture(inject('mysqlUrl'), `dash_${process.pid}`);
      const tables = ['big', 'second', 'small'].map((name) => `CREATE TABLE ${name} ${TABLE}`);
      await bed.createSchema(...tables, ...rowsOf('big', 20_000), ...rowsOf('second', 20_000), ...rowsOf('small', 50));
      await bed.start(`admin: { listen: "127.0.0.1:${port}", token: "${TOKEN}" }`);
    });
    afterAll(async () => {
      await browser?.close();
      await bed?.remove();
    });
    afterEach(async () => {
      expect(opened.foreign).toEqual([]);
      expect(opened.requested.filter((requested) => requested.includes(TOKEN))).toEqual([]);
      await opened.page.context().close();
      await bed.client.changeBackfill('resume').catch(() => {});
      await bed.client.changeBackfill('cancel').catch(() => {});
    });

    const open = async (options: Parameters<typeof openPage>[2] = {}): Promise<Page> => {
      opened = await openPage(browser, url, options);
      await opened.page.locator('[data-health]').waitFor();
      return opened.page;
    };
    const status = async (): Promise<DaemonStatus> => (await (await fetch(`${url}/api/status`)).json()) as DaemonStatus;
    const startBackfill = (tables = ['big'], rate = 100): Promise<unknown> =>
      bed.client.startBackfill({ tables: tables.map((table) => `${bed.schema}.${table}`), rate, parallel: 2 });

    test('shows what /api/status says, without a complaint of the browser', async () => {
      await bed.query(
        `USE ${bed.schema}`,
        ...['a', 'b', 'c'].map((value, i) => `INSERT INTO small VALUES (${100 + i}, '${value}')`),
        `UPDATE small SET v = 'new' WHERE id < 11`,
        'DELETE FROM small WHERE id = 11',
      );
      await bed.delivered();
      const page = await open();
      let shown: unknown;
      let expected: unknown;
      // Nothing changes any more: the page has it with its next question.
      await until(async () => {
        [shown, expected] = [await page.evaluate(SHOWN), valuesOf(await status())];
        return JSON.stringify(shown) === JSON.stringify(expected);
      }, 20_000).catch(() => {});
      expect(shown).toEqual(expected);
      const small = (await status()).tables.find(({ table }) => table === 'small');
      expect(small?.events).toMatchObject({ c: 3, u: 10, d: 1 });
      expect(await page.locator('tr', { hasText: 'small' }).innerText()).toMatch(/c 3\s+u 10\s+d 1/);
      expect(await page.locator('.figure').first().textContent()).toMatch(/^Lag [\d.]+ s /);
      expect(await page.title()).toBe('shop: ok');
      expect(opened.complaints).toEqual([]);
    });

    test.each([
      ['light', 1280],
      ['dark', 1280],
      ['light', 360],
      ['dark', 360],
    ] as const)(
      'in %s, %d pixels wide: no serious finding of axe, nothing to scroll sideways',
      async (colorScheme, width) => {
        await startBackfill();
        const page = await open({ colorScheme, viewport: { width, height: 800 } });
        await page.getByRole('progressbar', { name: `${bed.schema}.big` }).waitFor();
        expect(await seriousFindings(page)).toEqual([]);
        expect(await horizontalOverflow(page)).toBe(0);
        await page.getByRole('button', { name: 'Cancel all' }).click();
        expect(await seriousFindings(page)).toEqual([]);
        expect(opened.complaints).toEqual([]);
      },
    );

    test('a backfill is paused and resumed by keyboard alone, once the daemon has its token', async () => {
      await startBackfill();
      const page = await open();
      const bar = page.getByRole('progressbar', { name: `${bed.schema}.big` });
      await bar.waitFor();
      const now = async (): Promise<number> => Number(await bar.getAttribute('aria-valuetext').then(rowsOfBar));
      const before = await now();
      await until(async () => (await now()) > before);

      await tabTo(page, 'Pause');
      await page.keyboard.press('Enter');
      const dialog = page.getByRole('dialog');
      await dialog.getByText('The daemon asks for its token').waitFor();
      expect(await focused(page)).toBe('INPUT password');
      await page.keyboard.type('wrong');
      await page.keyboard.press('Enter');
      await dialog.getByRole('alert').waitFor();
      expect((await bed.client.backfill()).state).toBe('running');
      await page.keyboard.press('Control+A');
      await page.keyboard.type(TOKEN);
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Resume' }).waitFor();
      expect((await bed.client.backfill()).state).toBe('paused');
      expect(await dialog.count()).toBe(0);
      expect(await page.locator('.backfill-state').innerText()).toContain('paused');
      expect(await focused(page)).toBe('BUTTON Resume');

      // The tab has the token now.
      await page.keyboard.press('Enter');
      await page.getByRole('button', { name: 'Pause' }).waitFor();
      expect((await bed.client.backfill()).state).toBe('running');
      expect(await page.evaluate('[document.cookie, Object.keys(localStorage).length]')).toEqual(['', 0]);
      expect(opened.complaints.filter((complaint) => !complaint.includes('401 (Unauthorized)'))).toEqual([]);
    });

    test('a table is cancelled, then all of them, and each only after the question is answered', async () => {
      await startBackfill(['big', 'second']);
      const page = await open();
      await page.evaluate(`sessionStorage.setItem('cdc-admin-token', '${TOKEN}')`);
      const cancel = page.getByRole('button', { name: `Cancel ${bed.schema}.big` });
      await cancel.click();
      await page.getByRole('dialog').waitFor();
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      expect(await focused(page)).toBe('BUTTON Cancel');
      await cancel.click();
      await page.getByRole('button', { name: 'Keep it' }).click();
      expect((await bed.table('big'))?.state).not.toBe('cancelled');

      await cancel.click();
      await page.getByRole('button', { name: 'Cancel this table' }).click();
      await page.locator('.bar-row[data-state=cancelled]', { hasText: 'big' }).waitFor();
      expect((await bed.table('big'))?.state).toBe('cancelled');
      expect((await bed.table('second'))?.state).not.toBe('cancelled');
      expect(await focused(page)).toBe('H2 Backfill');

      await page.getByRole('button', { name: 'Cancel all' }).click();
      await page.getByRole('button', { name: 'Cancel all of it' }).click();
      await page.locator('.backfill-state[data-state=idle]').waitFor();
      expect((await bed.table('second'))?.state).toBe('cancelled');
      expect(opened.complaints).toEqual([]);
    });

    test('a stream that accepts nothing, and its stuck lanes, are shown within seconds, and are gone again', async () => {
      const page = await open();
      bed.firehose?.setFaults({ rules: [{ fault: 'error', type: 'ServiceUnavailableException' }] });
      await bed.query(`UPDATE ${bed.schema}.small SET v = 'stuck' WHERE id < 5`);
      const start = Date.now();
      await page.locator('.stuck').getByText('ServiceUnavailableException').first().waitFor();
      await page.locator('[data-health=degraded]').waitFor();
      // Five seconds are promised; the rest is for a busy machine.
      expect(Date.now() - start).toBeLessThan(30_000);
      expect(await page.locator('.stuck').innerText()).toMatch(/failed attempts? since [\s\S]*small, seq [0-9a-f]{36}/);
      expect(await seriousFindings(page)).toEqual([]);
      bed.firehose?.setFaults(undefined);
      await page.locator('[data-health=ok]').waitFor({ timeout: 90_000 });
      expect(await page.locator('.stuck').count()).toBe(0);
      expect(opened.complaints).toEqual([]);
    });

    test('a daemon that is killed is down, its last values stale, and all returns with it', async () => {
      const page = await open();
      const events = await page.locator('#streams dd').first().textContent();
      await bed.stopDaemon('SIGKILL');
      await page.locator('[data-health=down]').waitFor();
      const banner = page.locator('[data-health]');
      expect(await banner.innerText()).toMatch(/The daemon has not answered since \d\d:\d\d:\d\d/);
      expect(await page.title()).toBe('shop: down');
      expect(await page.locator('main.stale').count()).toBe(1);
      expect(await page.locator('#streams dd').first().textContent()).toBe(events);
      expect(await seriousFindings(page)).toEqual([]);
      // Without a token in the configuration nothing can be changed.
      await bed.start(`admin: { listen: "127.0.0.1:${port}" }`);
      await page.locator('[data-health=ok]').waitFor({ timeout: 90_000 });
      expect(await page.locator('main.stale').count()).toBe(0);

      await startBackfill();
      await page.getByRole('button', { name: 'Pause' }).click();
      const alert = page.getByRole('alert');
      await alert.getByText('admin.token is not configured').waitFor();
      expect(await alert.innerText()).toContain('What to do: set admin.token');
      expect((await bed.client.backfill()).state).toBe('running');
      await alert.getByRole('button', { name: 'Close' }).click();
      expect(await alert.count()).toBe(0);
      expect(opened.complaints.filter((complaint) => !/ERR_|403 \(Forbidden\)/.test(complaint))).toEqual([]);
    });
  },
);

/** What the page shows, as `valuesOf` has it of a status. */
const SHOWN = `(() => {
  const text = (element) => element?.textContent ?? null;
  const values = (root) => [...root.querySelectorAll('data')].map((data) => Number(data.value));
  const rows = [...document.querySelectorAll('#tables tbody tr')];
  const stream = document.querySelector('.stream');
  return {
    name: text(document.querySelector('h1')),
    host: text(document.querySelector('.source bdi')),
    health: document.querySelector('[data-health]').dataset.health,
    problems: [...document.querySelectorAll('.problems .what')].map(text),
    position: text(document.querySelector('.figures bdi')),
    delivery: values(document.querySelector('#streams > .facts')),
    stream: [text(stream.querySelector('h3')), ...values(stream.querySelector('.facts'))],
    tables: rows.map((row) => [
      text(row.querySelector('th')),
      text(row.querySelector('.mark')).trim().split(' ').at(-1),
      values(row.querySelector('.events'))[0],
      values(row.querySelector('.bytes'))[0],
      row.querySelector('.change time')?.dateTime ?? null,
    ]),
  };
})()`;

function valuesOf({ name, stream, health, checkpoint, delivery, tables }: DaemonStatus): unknown {
  const { events, bytes, records, requests, retries, repeats } = delivery!.counters;
  const [{ stream: streamName, lanes, outcomes }] = delivery!.streams as [DeliveryStream];
  return {
    name,
    host: stream!.server.host,
    health: health.status,
    problems: health.problems.map(({ what }) => what),
    position: `${checkpoint.position?.file}:${checkpoint.position?.position}`,
    delivery: [events, bytes, records, requests, retries, repeats, delivery!.pendingTransactions],
    stream: [
      streamName,
      ...[lanes.total, lanes.waiting, lanes.inFlight, lanes.retrying],
      ...[outcomes.accepted, outcomes.throttled, outcomes.unknown, outcomes.rejected],
    ],
    tables: tables
      .map((table) => [
        `${table.schema}.${table.table}`,
        table.coverage.complete ? 'complete' : 'incomplete',
        Object.values(table.events).reduce((sum, one) => sum + one, 0),
        table.bytes,
        table.lastChangeAt,
      ])
      .sort(([one], [other]) => (String(one) < String(other) ? -1 : 1)),
  };
}

type DeliveryStream = NonNullable<DaemonStatus['delivery']>['streams'][number];

const rowsOfBar = (text: string | null): string => /([\d,]+) rows/.exec(text ?? '')?.[1]?.replaceAll(',', '') ?? '';

/** The element that has the focus: its tag, and its type or text. */
const focused = (page: Page): Promise<string> =>
  page.evaluate(`(() => {
    const { tagName, type, textContent } = document.activeElement;
    return tagName + ' ' + (tagName === 'INPUT' ? type : textContent);
  })()`);

/** Presses Tab until a button of this text has the focus, as a person without a mouse does. */
async function tabTo(page: Page, button: string): Promise<void> {
  for (let i = 0; i < 100; i++) {
    await page.keyboard.press('Tab');
    if ((await focused(page)) === `BUTTON ${button}`) return;
  }
  throw new Error(`Tab does not reach ${button}`);
}
