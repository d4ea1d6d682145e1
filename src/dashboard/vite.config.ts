import { resolve } from 'node:path';
import { defineConfig } from 'vite';

/** `npm run build:dashboard`: index.html and hashed files in assets/, which the daemon serves as they are. */
export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: resolve(import.meta.dirname, '../../dist/dashboard'),
    emptyOutDir: true,
    target: 'es2022',
    // The daemon's content security policy allows no inline script and no data: URL but images.
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    // The licenses of preact and uPlot ask for their text beside the code.
    license: { fileName: 'assets/licenses.txt' },
  },
});
