import { expect, test } from 'vitest';
import { configJsonSchema } from '../../../src/config/json-schema.ts';

test('config/cdc.schema.json is what the configuration schema generates (npm run config:schema updates it)', async () => {
  const text = `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
  await expect(text, 'out of date: npm run config:schema').toMatchFileSnapshot('../../../config/cdc.schema.json');
});
