import axe from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

/** A page, and what went wrong in it. Close it with `page.context().close()`. */
export interface OpenPage {
  page: Page;
  /** Errors and warnings of the console, and exceptions. A browser logs refused requests there too. */
  complaints: string[];
  /** URLs of requests to anything but the daemon. */
  foreign: string[];
  /** URLs of all requests. */
  requested: string[];
}

export async function openPage(browser: Browser, url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  const opened: OpenPage = { page, complaints: [], foreign: [], requested: [] };
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) opened.complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => opened.complaints.push(`exception: ${error.message}`));
  const { origin } = new URL(url);
  page.on('request', (request) => {
    opened.requested.push(request.url());
    const target = new URL(request.url());
    if (target.origin !== origin && target.protocol !== 'data:') opened.foreign.push(request.url());
  });
  await page.goto(url);
  return opened;
}

/** What axe-core finds that is serious or critical: the rule, and each element. */
export async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = (await page.evaluate('axe.run()')) as axe.AxeResults;
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`));
}

/** How much wider the page is than the window. */
export const horizontalOverflow = (page: Page): Promise<number> =>
  page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
