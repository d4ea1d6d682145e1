import type { InitializeHook, LoadHook } from 'node:module';
import { type Edit, edited } from './edit.ts';

/** Hooks of Node's module loader (`register`). They edit the daemon's modules while Node loads them. */

let edits: readonly Edit[] = [];

export const initialize: InitializeHook<readonly Edit[]> = (given) => {
  edits = given;
};

export const load: LoadHook = async (url, context, next) => {
  const loaded = await next(url, context);
  for (const edit of edits) {
    if (url.endsWith(`/src/${edit.file}.js`)) loaded.source = edited(String(loaded.source), edit);
  }
  return loaded;
};
