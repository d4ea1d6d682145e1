import { type Random, seededRandom } from './random.ts';
import type { APP_EVENTS } from './shop.ts';
import {
  insertEvent,
  insertOrder,
  insertPayment,
  insertUser,
  NAMES,
  type Payment,
  type ShopStatement,
  statement,
} from './statements.ts';

/**
 * One transaction of the shop's customers. The transactions are a pure function of seed and client. Each client has its
 * own users, so its history does not depend on the interleaving of clients. Only the points of a few shared users are
 * increased by all clients: these rows are contended, and their final values are the same in any order.
 */
export interface ShopTransaction {
  name: string;
  statements: ShopStatement[];
  commit: boolean;
}

const SHARED_USERS: readonly number[] = [1, 2, 3];
const USERS_PER_CLIENT = 10_000_000;
const FIRST_ORDER = 2n ** 53n + 1n;

/** Creates the shared users. It must run once before the clients begin. */
export function openingTransaction(seed: number): ShopTransaction {
  const random = seededRandom(seed);
  return committed(
    'open',
    SHARED_USERS.map((id) => insertUser(random, id)),
  );
}

export function* shopTransactions(seed: number, client: number): Generator<ShopTransaction, never> {
  const random = seededRandom(Math.imul(seed, 0x9e3779b1) + Math.imul(client + 1, 0x85ebca6b));
  const shop = new ShopClient(random, client);
  yield shop.signUp();
  for (;;) yield shop[random.pick(shop.hasOrders() ? ALL_ACTIONS : INITIAL_ACTIONS)]();
}

const INITIAL_ACTIONS = ['signUp', 'useApp', 'buy'] as const;
/** An action is listed more than once to make it more likely. */
const ALL_ACTIONS = [
  ...INITIAL_ACTIONS,
  ...(['useApp', 'useApp', 'buy', 'buy', 'changeProfile', 'changeProfile', 'earnPoints', 'earnPoints'] as const),
  ...(['ship', 'ship', 'clearHistory', 'cancel', 'reopen', 'renumber', 'rollBack', 'rollBackToSavepoint'] as const),
];

/** The rows of one client after its committed transactions, and the actions that change them. */
class ShopClient {
  readonly #random: Random;
  readonly #client: number;
  readonly #users: number[] = [];
  readonly #nextEvent = new Map<number, number>();
  #orders: bigint[] = [];
  readonly #payments: Payment[] = [];
  #orderCount = 0n;
  #paymentCount = 0;

  constructor(random: Random, client: number) {
    this.#random = random;
    this.#client = client;
  }

  hasOrders(): boolean {
    return this.#orders.length > 0 && this.#payments.length > 0;
  }

  signUp(): ShopTransaction {
    const id = (this.#client + 1) * USERS_PER_CLIENT + this.#users.length;
    this.#users.push(id);
    return committed('sign up', [insertUser(this.#random, id), this.#event(id, 'JOIN')]);
  }

  useApp(): ShopTransaction {
    const user = this.#user();
    return committed(
      'use the app',
      Array.from({ length: 1 + this.#random.below(3) }, () => this.#event(user)),
    );
  }

  buy(): ShopTransaction {
    const user = this.#user();
    const payment = this.#newPayment(user);
    this.#orders.push(payment.order);
    this.#payments.push(payment);
    return committed('buy', [
      insertOrder(this.#random, payment.order, user),
      insertPayment(this.#random, payment),
      addPoints(user, 1 + this.#random.below(50)),
      this.#event(user, 'SUBSCRIBE'),
    ]);
  }

  changeProfile(): ShopTransaction {
    const random = this.#random;
    const sql = 'UPDATE users SET name = ?, premium = ?, rating = ?, preferences = ?, flags = ? WHERE id = ?';
    const preferences = {
      theme: random.pick(['dark', 'light']),
      volume: random.below(1000) / 8,
      tags: [null, 2 ** 40],
    };
    return committed('change the profile', [
      statement('update', sql, [
        random.pick(NAMES),
        random.below(2),
        random.chance(0.2) ? null : random.below(50) / 10 + 0.1,
        JSON.stringify(preferences),
        random.pick(['', 'beta', 'newsletter,staff']),
        this.#user(),
      ]),
    ]);
  }

  earnPoints(): ShopTransaction {
    return committed('earn points', [addPoints(this.#random.pick(SHARED_USERS), 1 + this.#random.below(9))]);
  }

  ship(): ShopTransaction {
    const values = [this.#random.pick(['paid', 'shipped', 'returned']), this.#random.below(10_000) / 7];
    const sql = 'UPDATE orders SET status = ?, weight_kg = ? WHERE id = ?';
    return committed('ship', [statement('update', sql, [...values, this.#random.pick(this.#orders)])]);
  }

  /** One statement that changes many rows. */
  clearHistory(): ShopTransaction {
    const sql = "DELETE FROM app_events WHERE user_id = ? AND type <> 'JOIN'";
    const change = 'UPDATE app_events SET properties = NULL, season = season + 1 WHERE user_id = ? AND season < 2100';
    const clear = this.#random.chance(0.5) ? statement('delete', sql) : statement('update', change);
    return committed('clear the history', [{ ...clear, values: [this.#user()] }]);
  }

  cancel(): ShopTransaction {
    const payment = this.#takePayment();
    this.#orders = this.#orders.filter((id) => id !== payment.order);
    return committed('cancel', [
      deletePayment(payment),
      statement('delete', 'DELETE FROM orders WHERE id = ?', [payment.order]),
    ]);
  }

  /** Deletes a key and inserts it again in the same transaction. */
  reopen(): ShopTransaction {
    const payment = this.#random.pick(this.#payments);
    return committed('delete and insert again', [deletePayment(payment), insertPayment(this.#random, payment)]);
  }

  /** Changes a primary key. Half of the time a new row takes the old key at once. */
  renumber(): ShopTransaction {
    const old = this.#takePayment();
    const renumbered = { ...old, reference: this.#newReference() };
    this.#payments.push(renumbered);
    const sql = 'UPDATE payments SET reference = ?, amount = amount + 0.01 WHERE reference = ?';
    const statements = [statement('move', sql, [renumbered.reference, old.reference])];
    if (this.#random.chance(0.5)) {
      this.#payments.push(old);
      statements.push(insertPayment(this.#random, old));
    }
    return committed('change a primary key', statements);
  }

  /** Rolls the whole transaction back. */
  rollBack(): ShopTransaction {
    const payment = this.#newPayment(this.#user());
    const statements = [
      insertOrder(this.#random, payment.order, payment.user),
      insertPayment(this.#random, payment),
      deletePayment(this.#random.pick(this.#payments)),
    ];
    return { name: 'roll back', statements, commit: false };
  }

  /** Rolls a part back to a savepoint and commits the rest. */
  rollBackToSavepoint(): ShopTransaction {
    const user = this.#user();
    const { order } = this.#newPayment(user);
    return committed('roll back to a savepoint', [
      this.#event(user, 'OPEN_CHAT'),
      statement('none', 'SAVEPOINT checkout'),
      { ...insertOrder(this.#random, order, user), undone: true },
      { ...addPoints(user, 1000), undone: true },
      statement('none', 'ROLLBACK TO SAVEPOINT checkout'),
      this.#event(user, 'LEAVE'),
    ]);
  }

  #user = (): number => this.#random.pick(this.#users);
  #newReference = (): string => `pay-${this.#client}-${String(this.#paymentCount++).padStart(8, '0')}`;

  #event(user: number, type?: (typeof APP_EVENTS)[number]): ShopStatement {
    const number = this.#nextEvent.get(user) ?? 1;
    this.#nextEvent.set(user, number + 1);
    return insertEvent(this.#random, user, number, type);
  }

  #newPayment(user: number): Payment {
    const order = FIRST_ORDER + BigInt(this.#client) * 10n ** 12n + this.#orderCount++;
    return { reference: this.#newReference(), order, user };
  }

  #takePayment(): Payment {
    return this.#payments.splice(this.#random.below(this.#payments.length), 1)[0]!;
  }
}

const addPoints = (user: number, points: number): ShopStatement =>
  statement('update', 'UPDATE users SET points = points + ? WHERE id = ?', [points, user]);

const deletePayment = ({ reference }: Payment): ShopStatement =>
  statement('delete', 'DELETE FROM payments WHERE reference = ?', [reference]);

const committed = (name: string, statements: ShopStatement[]): ShopTransaction => ({ name, statements, commit: true });
