import { z } from 'zod';
import { configSchema } from './schema.ts';

/** The configuration as a JSON Schema for editors; config/cdc.schema.json is generated from it. */
export const configJsonSchema = (): object => ({
  title: 'cdc configuration',
  ...z.toJSONSchema(configSchema, { io: 'input' }),
});
