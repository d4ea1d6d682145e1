import { shortened } from '../names.ts';

/** A name of letters, digits and underscores, as the catalogs of lakes want it. */
export function catalogName(name: string, bytesMax: number, { lowerCase }: { lowerCase: boolean }): string {
  const folded = lowerCase ? name.toLowerCase() : name;
  const plain = folded.replace(/[^A-Za-z0-9_]/g, '_');
  const legal = /^[0-9]/.test(plain) ? `_${plain}` : plain;
  return legal === folded && legal.length <= bytesMax ? legal : shortened(name, legal, bytesMax);
}

/** `"name"` as a step of a JSON path. */
export const pathStep = (name: string): string => `"${name.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
