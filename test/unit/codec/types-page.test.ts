import { expect, test } from 'vitest';
import { typesPage } from '../../oracle/types-page.ts';

test('docs/TYPES.md lists every type, option and boundary that the type oracle compares', async () => {
  await expect(typesPage()).toMatchFileSnapshot('../../../docs/TYPES.md');
});
