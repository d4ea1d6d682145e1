import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { DaemonStatus } from '../../../src/admin/daemon-status.ts';
import { until } from '../pipeline-fixture.ts';
import { chromiumUnavailable, launchChromium } from './chromium.ts';
import { horizontalOverflow, type OpenPage, openPage, seriousFindings } from './open-page.ts';
import { type PageServer, startPageServer } from './page-server.ts';
import { sampleHistory, sampleStatus, sampleTable } from './sample-status.ts';

/** States that a real daemon cannot easily be brought to. dashboard.test.ts has a real one. */

const unavailable = await chromiumUnavailable();
const HOSTILE = '<img src=x onerror=alert(1)>"\'&\u202e\u0000';

describe.skipIf(unavailable !== undefined)(`the page${unavailable ? `: ${unavailable}` : ''}`, () => {
  let browser: Browser;
  let server: PageServer;
  let opened: OpenPage | undefined;
  beforeAll(async () => {
    browser = await launchChromium();
  });
  afterAll(() => browser?.close());
  beforeEach(async () => {
    server = await startPageServer({ status: sampleStatus(), history: sampleHistory() });
  });
  afterEach(async () => {
    expect(opened?.foreign).toEqual([]);
    await opened?.page.context().close();
    await server.close();
  });

  const open = async (options: Parameters<typeof openPage>[2] = {}): Promise<Page> => {
    opened = await openPage(browser, server.url, options);
    await opened.page.locator('[data-health]').waitFor();
    return opened.page;
  };
  const change = (part: Partial<DaemonStatus>): void => {
    server.answer = { ...server.answer, status: { ...server.answer.status, ...part } };
  };
  const elements = (page: Page): Promise<number> => page.evaluate('document.querySelectorAll("*").length');

  test.each([
    ['light', 1280],
    ['dark', 1280],
    ['light', 360],
    ['dark', 360],
  ] as const)(
    'in %s, %d pixels wide: no serious finding of axe, nothing to scroll sideways',
    async (colorScheme, width) => {
      const page = await open({ colorScheme, viewport: { width, height: 740 } });
      await page.getByText('Position and checkpoint').click();
      expect(await seriousFindings(page)).toEqual([]);
      expect(await horizontalOverflow(page)).toBe(0);
      expect(opened?.complaints).toEqual([]);
    },
  );

  test('stuck lanes show attempts, since when, why, and their oldest event', async () => {
    const page = await open();
    const [lane] = server.answer.status.delivery?.streams[0]?.stuck ?? [];
    const text = await page.locator('.stuck').innerText();
    expect(text).toContain('2 lanes stuck');
    expect(text).toMatch(/Lane 7: 9 failed attempts since \d+ s ago\. ServiceUnavailableException: slow down/);
    expect(text).toContain(`The oldest is of shop.orders, seq ${lane?.oldest.seq}`);
  });

  test('names and messages of the server are text, whatever is in them', async () => {
    const status = sampleStatus();
    status.name = HOSTILE;
    status.tables = [sampleTable(HOSTILE, 5, false, HOSTILE)];
    status.warnings = [{ at: status.at, level: 'error', message: HOSTILE, why: HOSTILE, hint: HOSTILE, times: 1 }];
    status.health.problems.push({ code: 'lag', severity: 'degraded', what: HOSTILE, why: HOSTILE, hint: HOSTILE });
    status.deadLetters.recent = [{ at: status.at, stream: HOSTILE, table: HOSTILE, seq: HOSTILE, why: HOSTILE }];
    const [table] = status.backfill?.tables ?? [];
    Object.assign(table ?? {}, { schema: HOSTILE, table: HOSTILE, state: 'failed', error: { message: HOSTILE } });
    server.answer = { ...server.answer, status };
    const page = await open();
    expect(await page.locator('img').count()).toBe(0);
    expect(await page.locator('h1').textContent()).toBe(HOSTILE);
    expect(await page.locator('tbody th').textContent()).toBe(`${HOSTILE}.${HOSTILE}`);
    const bars = page.getByRole('progressbar');
    const names = await bars.evaluateAll((found) => found.map((one) => one.getAttribute('aria-label')));
    expect(names).toContain(`${HOSTILE}.${HOSTILE}`);
    expect(opened?.complaints).toEqual([]);
  });

  test('of 2,000 tables a page is on the page, and each of them can be found', async () => {
    const few = await elements(await open());
    await opened?.page.context().close();
    const tables = Array.from({ length: 2_000 }, (_, i) => sampleTable(`table_${i}`, i * 7, i % 3 === 0));
    change({ tables });
    const page = await open({ viewport: { width: 360, height: 740 } });
    expect(await page.locator('tbody tr').count()).toBe(50);
    expect((await elements(page)) - few).toBeLessThan(2_000);
    expect(await page.getByText('1 to 50 of 2,000').count()).toBe(1);
    await page.getByRole('button', { name: 'Next' }).click();
    await page.getByText('51 to 100 of 2,000').waitFor();
    await page.getByLabel('Filter by name').fill('TABLE_1999');
    await page.locator('tbody tr').getByText('table_1999').waitFor();
    expect(await page.locator('tbody tr').count()).toBe(1);
    await page.getByLabel('Filter by name').fill('');
    await page.getByRole('button', { name: 'Events' }).click();
    await page.locator('tbody tr').first().getByText('table_1999').waitFor();
    expect(await page.locator('thead th', { hasText: 'Events' }).getAttribute('aria-sort')).toBe('descending');
    expect(await horizontalOverflow(page)).toBe(0);
    expect(await seriousFindings(page)).toEqual([]);
  });

  test('new values leave focus, scroll, what is typed and what is open as they are', async () => {
    change({ tables: Array.from({ length: 300 }, (_, i) => sampleTable(`table_${i}`, i, true)) });
    const page = await open();
    await page.getByText('Position and checkpoint').click();
    await page.getByLabel('Filter by name').fill('table_1');
    await page.evaluate('scrollTo(0, 400)');
    const before = await page.evaluate('scrollY');
    for (const bytes of [111, 222]) {
      change({ lag: { seconds: 1, bytes, maxSeconds: 60 } });
      await page.locator('[data-health]').getByText(`${bytes} B`).waitFor();
    }
    expect(await page.evaluate('scrollY')).toBe(before);
    expect(await page.evaluate('document.activeElement.type + " " + document.activeElement.value')).toBe(
      'search table_1',
    );
    expect(await page.locator('details').getAttribute('open')).not.toBeNull();
    await page.getByRole('button', { name: 'Bytes' }).focus();
    change({ lag: { seconds: 1, bytes: 333, maxSeconds: 60 } });
    await page.locator('[data-health]').getByText('333 B').waitFor();
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Bytes');
  });

  test('the health changes in words, in its attribute, in the title, and in the one live region', async () => {
    const page = await open();
    const banner = page.locator('[data-health]');
    expect(await banner.getAttribute('data-health')).toBe('degraded');
    const live = page.locator('output, [aria-live], [role=status]');
    expect(await live.allTextContents()).toEqual([
      'Health degraded. Following the binlog: 2 lanes of shop-changes have been retrying for 42 s.',
    ]);
    change({ health: { status: 'ok', ready: true, problems: [] } });
    await page.locator('[data-health=ok]').waitFor();
    expect(await banner.getByRole('heading').textContent()).toBe('Health: ok');
    expect(await live.allTextContents()).toEqual(['Health ok. Following the binlog.']);
    expect(await page.title()).toBe('shop: ok');
    change({ state: 'waiting', stream: null, delivery: null, backfill: null, ...down() });
    await page.locator('[data-health=down]').waitFor();
    expect(await banner.innerText()).toContain('MySQL is away');
    expect(await banner.innerText()).toContain('What to do: start it again');
    expect(opened?.complaints).toEqual([]);
  });

  test('a daemon that is slow is asked one thing at a time', async () => {
    server.answer = { ...server.answer, delayMs: 700 };
    const page = await open();
    const seen = server.requests.total;
    await page.evaluate('for (let i = 0; i < 20; i++) document.dispatchEvent(new Event("visibilitychange"))');
    await until(() => server.requests.total >= seen + 4);
    expect(server.requests.most).toBe(1);
  });

  test('a daemon that takes connections and does not answer is shown as down, and its last values as stale', async () => {
    const page = await open();
    server.answer = { ...server.answer, delayMs: 600_000 };
    await page.locator('[data-health=down]').waitFor();
    expect(await page.locator('[data-health]').innerText()).toMatch(/has not answered since \d\d:\d\d:\d\d/);
    expect(await page.locator('[data-health]').innerText()).toContain('Lag\n0.3 s');
    expect(await page.locator('main.stale').count()).toBe(1);
    expect(await seriousFindings(page)).toEqual([]);
    server.answer = { ...server.answer, delayMs: 0 };
    await page.locator('[data-health=degraded]').waitFor();
    expect(await page.locator('main.stale').count()).toBe(0);
  });

  test('each plot says in words what it shows, and a gap is a gap', async () => {
    const page = await open();
    const names = await page
      .getByRole('img')
      .evaluateAll((found) => found.map((element) => element.getAttribute('aria-label')));
    expect(names).toEqual([
      expect.stringMatching(/^Plot of lag over time: now [\d.]+ s, peak [\d.]+ s$/),
      expect.stringMatching(/^Plot of events read over time: now \S+ k\/s, peak \S+ k\/s$/),
      expect.stringMatching(/^Plot of bytes acknowledged over time: now \S+ [kM]B\/s, peak \S+ [kM]B\/s$/),
    ]);
    expect(lineOf((await page.evaluate(COLUMNS_OF_EVENTS)) as boolean[])).toMatch(/^#+ {3,}#+$/);
    await page.getByRole('radio', { name: '15 min' }).focus();
    await page.keyboard.press('ArrowLeft');
    // The gap is older than five minutes.
    await until(async () => !/# +#/.test(lineOf((await page.evaluate(COLUMNS_OF_EVENTS)) as boolean[])));
    const light = await page.evaluate(CANVAS);
    await page.emulateMedia({ colorScheme: 'dark' });
    await until(async () => (await page.evaluate(CANVAS)) !== light);
    expect(opened?.complaints).toEqual([]);
  });
});

const lineOf = (columns: boolean[]): string =>
  columns
    .map((isDrawn) => (isDrawn ? '#' : ' '))
    .join('')
    .trim();

const CANVAS = 'document.querySelectorAll(".plot canvas")[1].toDataURL()';

/** Which columns of the plot of events have the colour of its line, from the left to the right. */
const COLUMNS_OF_EVENTS = `(() => {
  const canvas = document.querySelectorAll('.plot canvas')[1];
  const copy = Object.assign(document.createElement('canvas'), { width: canvas.width, height: canvas.height });
  const context = copy.getContext('2d', { willReadFrequently: true });
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const isLine = (i) => Math.abs(data[i] - 0x1f) + Math.abs(data[i + 1] - 0x5f) + Math.abs(data[i + 2] - 0xbf) < 60;
  const rows = [...Array(canvas.height).keys()];
  return [...Array(canvas.width).keys()].map((x) =>
    rows.some((y) => isLine((y * canvas.width + x) * 4) && data[(y * canvas.width + x) * 4 + 3] > 100));
})()`;

const down = (): Pick<DaemonStatus, 'health'> => ({
  health: {
    status: 'down',
    ready: false,
    problems: [
      { code: 'not_streaming', severity: 'down', what: 'MySQL is away', why: 'ECONNREFUSED', hint: 'start it again' },
    ],
  },
});
