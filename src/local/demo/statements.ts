import type { Random } from './random.ts';
import { APP_EVENTS, SOURCES } from './shop.ts';

export interface ShopStatement {
  sql: string;
  values: unknown[];
  /** The effect on rows. `move` changes the primary key. */
  effect: 'insert' | 'update' | 'delete' | 'move' | 'none';
  /** True when a later ROLLBACK TO SAVEPOINT undoes it. */
  undone?: true;
}

export interface Payment {
  reference: string;
  order: bigint;
  user: number;
}

export const NAMES = ['Ada', 'Zoë', 'Łukasz', "O'Neil", '李雷', 'Наташа', 'Renée "R" 🦊', 'back\\slash', 'two\nlines'];
const TEXTS = ['hi!', 'does it come in “blue”?', '👍🏽', 'C:\\temp', '{"not": "json"}', 'ünïcödé ✓', 'line\nbreak', ''];

export const statement = (effect: ShopStatement['effect'], sql: string, values: unknown[] = []): ShopStatement => ({
  sql,
  values,
  effect,
});

const insert = (table: string, columns: Record<string, unknown>): ShopStatement => {
  const names = Object.keys(columns);
  const sql = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`;
  return statement('insert', sql, Object.values(columns));
};

export const insertUser = (random: Random, id: number): ShopStatement =>
  insert('users', {
    id,
    email: `user${id}@example.com`,
    name: random.pick(NAMES),
    source: random.pick(SOURCES),
    flags: random.pick(['', 'newsletter', 'newsletter,beta']),
    rating: random.chance(0.3) ? null : random.below(50) / 10,
    birthday: random.chance(0.3) ? null : randomTime(random).slice(0, 10),
    preferences: random.chance(0.3)
      ? null
      : JSON.stringify({ lang: random.pick(['de', 'en', 'fr']), n: random.below(1e6) }),
    password_hash: bytes(random, 16),
    created_at: randomTime(random, 3),
  });

export const insertEvent = (
  random: Random,
  user: number,
  number: number,
  type = random.pick(APP_EVENTS),
): ShopStatement =>
  insert('app_events', {
    user_id: user,
    number,
    type,
    properties: random.chance(0.1)
      ? null
      : JSON.stringify({ text: random.pick(TEXTS), room: random.below(99), score: random.below(1000) / 16 }),
    device: random.below(4096),
    spent: random.chance(0.5) ? null : `${random.pick(['', '-'])}00:0${random.below(10)}:1${random.below(10)}.25`,
    season: 2020 + random.below(8),
    happened_at: randomTime(random, 6),
  });

export const insertOrder = (random: Random, id: bigint, user: number): ShopStatement =>
  insert('orders', {
    id,
    user_id: user,
    source: channel(random),
    status: 'new',
    total: amount(random),
    items: JSON.stringify(
      Array.from({ length: 1 + random.below(3) }, () => ({ sku: `sku-${random.below(500)}`, n: 1 + random.below(4) })),
    ),
    note: random.chance(0.6) ? null : random.pick(TEXTS),
    placed_at: randomTime(random, 6),
  });

export const insertPayment = (random: Random, { reference, order, user }: Payment): ShopStatement =>
  insert('payments', {
    reference,
    order_id: order,
    user_id: user,
    amount: amount(random),
    receipt: random.chance(0.3) ? null : bytes(random, 1 + random.below(64)),
    paid_at: randomTime(random),
  });

/** The first channels bring more orders than the last ones. */
const channel = (random: Random): string =>
  SOURCES[Math.min(random.below(SOURCES.length), random.below(SOURCES.length))]!;

const amount = (random: Random): string => `${random.below(500)}.${String(random.below(100)).padStart(2, '0')}`;

const bytes = (random: Random, length: number): Buffer => Buffer.from(Array.from({ length }, () => random.below(256)));

/** A time in 2026 with this many fractional digits. It depends on the seed, not on the clock. */
function randomTime(random: Random, digits = 0): string {
  const second = new Date(Date.UTC(2026, 0, 1) + random.below(364 * 86_400) * 1000).toISOString().slice(0, 19);
  const fraction = digits === 0 ? '' : `.${String(random.below(10 ** digits)).padStart(digits, '0')}`;
  return second.replace('T', ' ') + fraction;
}
